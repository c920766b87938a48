{{- /* The Deployment of one component, so that all are held alike. Takes {context, component, values}. */ -}}
{{- define "irsa.deployment" -}}
{{- $ := .context -}}
{{- $isWebhook := eq .component "webhook" -}}
{{- $selector := include "irsa.selector" . -}}
{{- $onHost := and $isWebhook $.Values.hostNetwork -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: irsa-{{ .component }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "irsa.labels" . | nindent 4 }}
spec:
  replicas: {{ .values.replicas }}
  selector:
    matchLabels: {{- $selector | nindent 6 }}
  strategy:
    type: RollingUpdate
    # On the host a new pod cannot start beside an old one: the ports are taken.
    rollingUpdate: {{ $onHost | ternary "{maxSurge: 0, maxUnavailable: 1}" "{maxSurge: 1, maxUnavailable: 0}" }}
  template:
    metadata:
      labels: {{- include "irsa.labels" . | nindent 8 }}
        {{- with $.Values.podLabels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        # New settings are new pods: most of them are read once.
        checksum/settings: {{ include "irsa.settings" $ | sha256sum }}
        {{- with $.Values.podAnnotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: irsa-{{ .component }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      {{- if $isWebhook }}
      # drain-seconds, and what is under way on both ports then.
      terminationGracePeriodSeconds: {{ add 25 (dig "drain-seconds" 5 .values.settings) }}
      {{- end }}
      {{- if $onHost }}
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      {{- end }}
      {{- with $.Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $.Values.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      # ScheduleAnyway: one node is enough for all of them.
      topologySpreadConstraints:
        {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
        - topologyKey: {{ . }}
          maxSkew: 1
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- $selector | nindent 14 }}
        {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .component }}
          image: {{ include "irsa.image" $ }}
          imagePullPolicy: {{ $.Values.image.pullPolicy }}
          args: [--config, /etc/irsa/settings/settings.yaml, {{ .component }}]
          {{- with .values.extraEnv }}
          env: {{- toYaml . | nindent 12 }}
          {{- end }}
          ports:
            {{- if $isWebhook }}
            - {name: https, containerPort: {{ $.Values.port }}}
            {{- end }}
            - {name: http, containerPort: {{ $.Values.metricsPort }}}
          # A minute to start on a busy node.
          startupProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 1
            failureThreshold: 60
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            httpGet: {path: /healthz, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
          resources: {{- toYaml .values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: settings, mountPath: /etc/irsa/settings, readOnly: true}
            {{- if $isWebhook }}
            - {name: tls, mountPath: /etc/irsa/tls, readOnly: true}
            {{- end }}
            {{- with .values.extraVolumeMounts }}{{ toYaml . | nindent 12 }}{{ end }}
      volumes:
        - name: settings
          configMap: {name: irsa-settings}
        {{- if $isWebhook }}
        - name: tls
          secret:
            secretName: {{ include "irsa.tlsSecret" $ }}
            defaultMode: 288  # 0440, said so that every YAML reads it alike
            # Named, so that a pod waits for its certificate before it starts, and does not start and fail.
            items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
        {{- end }}
        {{- with .values.extraVolumes }}{{ toYaml . | nindent 8 }}{{ end }}
{{- end }}
