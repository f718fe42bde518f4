# The image of this project's own programs: operator, controller, speaker, reloader (and kubectl-metallb).
# docker build -t metallb-operator .
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
RUN images/programs /out

FROM scratch
COPY --from=build /out/ /
USER 65532:65532
