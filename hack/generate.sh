#!/usr/bin/env bash
# Makes everything that follows from the types in api/: deepcopy functions, CustomResourceDefinitions and the API reference; and from these with
# config/ the package for OLM and the Helm chart.
#
#   hack/generate.sh           writes it
#   hack/generate.sh --check   fails, and shows the difference, when what is there is not what would be written
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
inputs=(go.mod go.sum tools api config hack docs/reference bundle catalog charts)
outputs=(api config/crd docs/reference bundle catalog charts)

tool() { go tool -modfile=tools/go.mod "$@"; }

generate() {
	cd "$1"
	rm -f config/crd/bases/*.yaml
	tool controller-gen object crd paths=./api/... output:crd:dir=config/crd/bases
	tool crd-ref-docs --config docs/reference/crd-ref-docs.yaml --source-path api --renderer markdown \
		--output-path docs/reference/api.md --log-level ERROR
	sed -i -e 's/[[:space:]]*$//' docs/reference/api.md
	cat -s docs/reference/api.md >docs/reference/api.md.new
	mv docs/reference/api.md.new docs/reference/api.md
	go run ./hack/bundle
	go run ./hack/chart
}

case "${1-}" in
"") generate "$root" ;;
--check)
	copy=$(mktemp -d)
	trap 'rm -rf "$copy"' EXIT
	(cd "$root" && tar -c "${inputs[@]}") | tar -x -C "$copy"
	(generate "$copy")
	for output in "${outputs[@]}"; do
		if ! diff -ru "$root/$output" "$copy/$output"; then
			echo "$output does not follow from api/ and config/: run make generate" >&2
			exit 1
		fi
	done
	;;
*)
	echo "usage: $0 [--check]" >&2
	exit 2
	;;
esac
