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
