{{- define "polaris.selector" -}}
app.kubernetes.io/name: polaris
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "polaris.labels" -}}
{{ include "polaris.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "polaris.image" -}}
{{ .registry }}/{{ .image }}@{{ .digest }}
{{- end }}

{{- /* Not to be had otherwise: these are what makes a pod of the restricted standard. */}}
{{- define "polaris.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
