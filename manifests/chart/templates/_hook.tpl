{{- /* What the hooks have alike. Takes {context, name, path}. */ -}}
{{- define "irsa.hook" -}}
name: {{ .name }}.webhook.irsa
admissionReviewVersions: [v1]
sideEffects: None
matchPolicy: Equivalent
timeoutSeconds: {{ .context.Values.webhook.timeoutSeconds }}
clientConfig:
  service: {name: irsa-webhook, namespace: {{ .context.Release.Namespace }}, path: {{ .path }}, port: 443}
  {{- if and (eq .context.Values.certificates.mode "given") (not .context.Values.controller.enabled) }}
  caBundle: {{ .context.Values.certificates.given.caBundle }}
  {{- end }}
{{- end }}

{{- /* Namespaces by their own label, which the API server sets and nobody else can: ours, so that it never waits for
itself, and kube-system, so that it never locks a cluster. */ -}}
{{- define "irsa.never" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: [kube-system, {{ .Release.Namespace }}]
{{- end }}

{{- /* As above, and those that values exclude: not from the strict hook, where only a namespace's label counts. */ -}}
{{- define "irsa.excluded" -}}
{{ include "irsa.never" . }}
{{- with .Values.webhook.excludedNamespaces }}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values: {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}

{{- define "irsa.isMirrorPod" -}}
has(object.metadata.annotations) && 'kubernetes.io/config.mirror' in object.metadata.annotations
{{- end }}
