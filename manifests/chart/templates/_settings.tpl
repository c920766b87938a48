{{- /* The file of --config: a section a command. What values say elsewhere wins, and cannot be said here again
(values.schema.json). Set one by one, because merge takes a false for nothing. */ -}}
{{- define "irsa.settings" -}}
{{- $values := .Values -}}
{{- $said := dict "log-format" $values.logFormat "log-level" $values.logLevel "metrics-port" $values.metricsPort -}}
{{- with include "irsa.configMap" (dict "context" . "configMap" $values.mappings) -}}
{{- $_ := set $said "mappings" . -}}
{{- end -}}
{{- $credentials := $values.containerCredentials -}}
{{- if and $credentials.name $credentials.file -}}
{{- fail "containerCredentials: expected name or file, got both" -}}
{{- end -}}
{{- with $credentials.file | default (include "irsa.configMap" (dict "context" . "configMap" $credentials)) -}}
{{- $_ := set $said "container-credentials" . -}}
{{- end -}}
{{- $commands := dict "webhook" (dict) -}}
{{- if $values.controller.enabled -}}
{{- $_ := set $commands "controller" (dict) -}}
{{- end -}}
{{- range $command, $settings := $commands -}}
{{- range $group := list $values.settings (get $values $command).settings $said -}}
{{- range $name, $value := $group -}}
{{- $_ := set $settings $name $value -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set $commands.webhook "port" $values.port -}}
{{- if $values.controller.enabled -}}
{{- $_ := set $commands.controller "certificates" (eq $values.certificates.mode "controller") -}}
{{- if and $values.certificates.given.caBundle (ne $values.certificates.mode "cert-manager") -}}
{{- $_ := set $commands.controller "trusted-ca" $values.certificates.given.caBundle -}}
{{- end -}}
{{- end -}}
{{ toYaml $commands }}
{{- end }}
