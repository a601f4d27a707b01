{{- /* polaris proxy beside the workload. It starts before the workload and ends after it. */}}
{{- define "polaris.client" -}}
- name: polaris
  image: {{ include "polaris.image" .Values.client.image }}
  restartPolicy: Always
  args: [proxy, {{ .Values.client.url | quote }}, --policy, /policy/policy.json, --log, json]
  startupProbe:
    exec:
      command:
        - /nodejs/bin/node
        - --eval
        - 'fetch("http://127.0.0.1:8787/.polaris/readyz").then(({ ok }) => process.exit(ok ? 0 : 1))'
    periodSeconds: 2
    failureThreshold: 30
  resources: {{- toYaml .Values.client.resources | nindent 4 }}
  securityContext: {{- include "polaris.restricted" . | nindent 4 }}
  volumeMounts:
    - { name: client-policy, mountPath: /policy, readOnly: true }
{{- end }}
