{{- /* Labels of every object. Takes {context, component}; without a component the object is shared. */ -}}
{{- define "irsa.labels" -}}
{{ include "irsa.selector" . }}
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: irsa
{{- with .context.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What selects the pods of a component; of a Deployment this can never change. */ -}}
{{- define "irsa.selector" -}}
app.kubernetes.io/name: irsa
app.kubernetes.io/instance: {{ .context.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "irsa.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* NAMESPACE/NAME of a ConfigMap that values name, or nothing. Takes {context, configMap}. */ -}}
{{- define "irsa.configMap" -}}
{{- if .configMap.name -}}
{{ .configMap.namespace | default .context.Release.Namespace }}/{{ .configMap.name }}
{{- end }}
{{- end }}

{{- define "irsa.tlsSecret" -}}
{{ eq .Values.certificates.mode "given" | ternary .Values.certificates.given.secretName "irsa-webhook-tls" }}
{{- end }}

{{- define "irsa.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:irsa-controller
{{- end }}
