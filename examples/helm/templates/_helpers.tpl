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

{{- /* Fixed, since these are what makes a pod of the restricted standard. */}}
{{- define "polaris.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* True when each replica makes its own HPKE keys, so that a client has to come back to the replica whose keys it has. */}}
{{- define "polaris.keysPerReplica" -}}
{{- if not (has (default "instance" .Values.settings.POLARIS_CONTAINER_HPKE_SEED) (list "derived" "sealed")) }}true{{ end }}
{{- end }}

{{- /* Refuses what protects less than it seems to, unless the values accept it by name. */}}
{{- define "polaris.validate" -}}
{{- $settings := .Values.settings }}
{{- $accept := .Values.accept }}
{{- if not (or .Values.runtimeClassName $accept.noTee) }}
{{- fail "runtimeClassName is empty, so the pod would be no TEE: set it to your cluster's confidential runtime class (kubectl get runtimeclass), or accept.noTee=true to try the chart out" }}
{{- end }}
{{- range list "POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION" "POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION" }}
{{- if not (or (eq (toString (get $settings .)) "true") $accept.unencrypted) }}
{{- fail (printf "settings.%s is not 'true', so plaintext would be accepted or sent: set it, or accept.unencrypted=true" .) }}
{{- end }}
{{- end }}
{{- $ephemeral := eq (default "ephemeral" $settings.POLARIS_CONTAINER_KEY_TYPE) "ephemeral" }}
{{- $shared := or (not $ephemeral) (not (include "polaris.keysPerReplica" .)) }}
{{- $store := regexMatch "^rediss?(-sentinel)?://" (default "" $settings.POLARIS_CONTAINER_REPLAY_STORE) }}
{{- if and $shared (gt (int .Values.autoscaling.maxReplicas) 1) (not (or $store $accept.replays)) }}
{{- fail "replicas share their keys, so a request recorded at one could be replayed to each of the others: set settings.POLARIS_CONTAINER_REPLAY_STORE to a redis://, rediss:// or redis-sentinel:// URL, or autoscaling.minReplicas=1 and maxReplicas=1, or accept.replays=true" }}
{{- end }}
{{- if and .Values.metrics.port (not .Values.metrics.from) }}
{{- fail "metrics.from is empty, so that anything in the cluster could read the metrics: name the pods of Prometheus there" }}
{{- end }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas" }}
{{- end }}
{{- end }}
