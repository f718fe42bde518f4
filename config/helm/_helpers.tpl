{{/* The reference of an image: a list of two, where the second says what the first does not. A digest, where there is one, is used in place of the tag. */}}
{{- define "metallb-operator.image" -}}
{{- $base := index . 0 -}}
{{- $own := index . 1 -}}
{{- $repository := $own.repository | default $base.repository -}}
{{- if regexMatch "(^|/)metallb/(controller|speaker)$" $repository -}}
{{- fail (printf "image repository is %s, which is MetalLB's own program: wanted this product's, or nothing" $repository) -}}
{{- end -}}
{{- $digest := $own.digest -}}
{{- if not (or $own.repository $own.tag $own.digest) -}}
{{- $digest = $base.digest -}}
{{- end -}}
{{- if $digest -}}
{{ $repository }}@{{ $digest }}
{{- else -}}
{{ $repository }}:{{ $own.tag | default $base.tag }}
{{- end -}}
{{- end -}}
