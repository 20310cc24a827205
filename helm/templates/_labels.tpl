{{/* Labels of everything in the release. */}}
{{- define "keyfleet.labels" -}}
app.kubernetes.io/name: keyfleet-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Labels that choose the operator's pod; fixed for the life of a release. */}}
{{- define "keyfleet.selector" -}}
app.kubernetes.io/name: keyfleet-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* What belongs to the whole cluster is never taken away with a release, nor when a later one leaves it out: Argo CD knows
Helm's word only for the first. With the CRDs all nodes would go. */}}
{{- define "keyfleet.kept" -}}
helm.sh/resource-policy: keep
argocd.argoproj.io/sync-options: Delete=false,Prune=false
{{- end }}

{{/* Labels of the administrator's for the operator's pod. One of ours changed would leave the Deployment without its pods. */}}
{{- define "keyfleet.podLabels" -}}
{{- range $name, $_ := . }}
{{- if has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by") }}
{{- fail (printf "podLabels: %s is the chart's own label; take it out" $name) }}
{{- end }}
{{- end }}
{{- toYaml . }}
{{- end }}

{{/* The operator's image: by tag, and by digest too when one is given, which wins. */}}
{{- define "keyfleet.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end }}

{{/* VERSION=DIGEST of the nodes' images, with commas between. */}}
{{- define "keyfleet.digests" -}}
{{- $pairs := list }}
{{- range $version, $digest := . }}{{ $pairs = append $pairs (printf "%s=%s" $version $digest) }}{{ end }}
{{- join "," $pairs }}
{{- end }}

{{/* Name of the site; never another one than the release had: its operator would make another site's nodes beside its own. */}}
{{- define "keyfleet.site" -}}
{{- $site := required "site is missing: give the name that this site has in KmsCluster spec.sites, --set site=dc1" .Values.site }}
{{- $running := lookup "apps/v1" "Deployment" .Release.Namespace "keyfleet-operator" | default dict }}
{{- range dig "spec" "template" "spec" "containers" (list) $running }}
{{- range .env }}
{{- if and (eq .name "KEYFLEET_SITE") (ne .value $site) }}
{{- fail (printf "site: this release is site %s and cannot become %s, whose nodes it would make beside its own; leave site as it is (installed by a slip: uninstall it first)" .value $site) }}
{{- end }}
{{- end }}
{{- end }}
{{- $site }}
{{- end }}
