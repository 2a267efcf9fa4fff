{{/* No two releases share a name: of every object it is this, which ends with the chart's, and a part. Long ones are told
     apart by a sum, as KubeRay takes 47 characters, of which `-pools` has 6. */}}
{{- define "sluice.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (eq .Release.Name .Chart.Name) }}
{{- if le (len $name) 40 }}{{ $name }}{{ else }}{{ printf "%s-%s-%s" ($name | trunc 24 | trimSuffix "-") (sha256sum $name | trunc 8) .Chart.Name }}{{ end }}
{{- end }}

{{/* Labels by which objects are selected never change; call with (list $ "part"). */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end }}

{{- define "sluice.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What is asked for and not given is named, before anything is installed. */}}
{{- define "sluice.checked" -}}
{{- if eq .Values.engine "external" }}
{{- $_ := required "ray.secret: engine external needs the name of a Secret with what gateway and pools share" .Values.ray.secret }}
{{- if not .Values.state.bundled }}
{{- $_ := required "state.control.secret: engine external needs the name of a Secret with the address of the control Redis (or state.bundled: true)" .Values.state.control.secret }}
{{- end }}
{{- if and .Values.ray.enabled (not .Values.state.bundled) }}
{{- $_ := required "ray.gcs.address: name the HOST:PORT of a Redis that does not evict, so that replicas outlive Ray's head, or none to do without" .Values.ray.gcs.address }}
{{- end }}
{{- else if .Values.ray.enabled }}
{{- fail "ray.enabled: pools are of use to engine: external only" }}
{{- end }}
{{- $several := or (gt (int .Values.gateway.replicas) 1) .Values.gateway.autoscaling.enabled }}
{{- if and (dig "state" "rollouts" false .Values.config) $several (not .Values.state.bundled) }}
{{- $_ := required "state.control.secret: with config.state.rollouts and several gateways, each would have rollouts of its own; name the Secret with the address of one control Redis, or set gateway.replicas to 1" .Values.state.control.secret }}
{{- end }}
{{- if and .Values.config.feature_views (not .Values.state.bundled) }}
{{- $_ := required "state.features.secret: config.feature_views need the name of a Secret with the address of the features Redis (or state.bundled: true)" .Values.state.features.secret }}
{{- end }}
{{- if .Values.control.exposed }}
{{- $_ := required "control.secret: an exposed control API needs the name of a Secret with its token" .Values.control.secret }}
{{- end }}
{{- range list "repository_api" "return_features" }}
{{- if eq (dig "http" . "off" $.Values.config | toString) "token" }}
{{- $_ := required (printf "control.secret: config.http.%s: token asks callers for the control API's token; name the Secret that has it" .) $.Values.control.secret }}
{{- end }}
{{- end }}
{{- if .Values.tracing.secret }}
{{- $_ := required "tracing.secret: its headers go to a receiver of traces, and config.tracing.endpoint names none" (dig "tracing" "endpoint" "" .Values.config) }}
{{- $_ := required "tracing.key: name the key of tracing.secret whose text is the headers, one name: value a line" .Values.tracing.key }}
{{- end }}
{{- if and .Values.models.claim .Values.models.init.image }}
{{- fail "models.claim and models.init.image: name one of them" }}
{{- end }}
{{- include "sluice.unused" . }}
{{- include "sluice.bounds" . }}
{{- end }}

{{/* A value that would do nothing is told, with what it waits for. */}}
{{- define "sluice.unused" -}}
{{- if and .Values.state.bundled (or .Values.state.control.secret .Values.state.features.secret) }}
{{- fail "state.bundled: it starts both Redis servers, so that state.control.secret and state.features.secret would not be used; take one or the other" }}
{{- end }}
{{- if or .Values.models.init.command .Values.models.init.secret }}
{{- $_ := required "models.init.image: models.init.command and models.init.secret are those of a container, and no image is named" .Values.models.init.image }}
{{- end }}
{{- if .Values.ray.gcs.passwordSecret }}
{{- if has .Values.ray.gcs.address (list "" "none") }}
{{- fail "ray.gcs.address: ray.gcs.passwordSecret is of a Redis, and none is named" }}
{{- end }}
{{- end }}
{{- if or .Values.ingress.className .Values.ingress.tlsSecret }}
{{- $_ := required "ingress.host: ingress.className and ingress.tlsSecret are those of an Ingress, and no host is named" .Values.ingress.host }}
{{- end }}
{{- if and .Values.route.hostnames (not .Values.route.parentRefs) }}
{{- fail "route.parentRefs: route.hostnames are those of an HTTPRoute, and no Gateway is named" }}
{{- end }}
{{- end }}

{{- define "sluice.bounds" -}}
{{- with .Values.gateway.autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "gateway.autoscaling: minReplicas is %d, which is over maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- range $name, $group := .Values.ray.workers }}
{{- with $group }}
{{- if or (gt (int .minReplicas) (int .replicas)) (gt (int .replicas) (int .maxReplicas)) }}
{{- fail (printf "ray.workers.%s: replicas is %d, which is not between minReplicas, %d, and maxReplicas, %d" $name (int .replicas) (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* sluice.yaml: the values' config and what the chart decides. */}}
{{- define "sluice.config" -}}
{{- $ours := dict
  "http" (dict "host" "0.0.0.0" "port" 8080)
  "grpc" (dict "host" "0.0.0.0" "port" 8081)
  "metrics" (dict "host" "0.0.0.0" "port" 8082)
  "control" (dict "host" (ternary "0.0.0.0" "127.0.0.1" .Values.control.exposed) "port" 8000)
  "engine" (dict "kind" .Values.engine)
  "repository" (dict "models_dir" .Values.models.path)
  "state" (dict "dir" "/var/lib/sluice") }}
{{- if .Values.control.secret }}
{{- $_ := set $ours.control "token_file" "/etc/sluice/control/token" }}
{{- end }}
{{- if .Values.tracing.secret }}
{{- $_ := set $ours "tracing" (dict "headers_file" "/etc/sluice/tracing/headers") }}
{{- end }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $ours) }}
{{- end }}

{{/* Addresses and the shared secret, from Secrets alone. */}}
{{- define "sluice.environment" -}}
- {name: SLUICE_CONFIG, value: /etc/sluice/config/sluice.yaml}
{{- if .Values.state.bundled }}
- {name: SLUICE_STATE__CONTROL_URL, value: "redis://{{ include "sluice.name" . }}-control:6379/0"}
- {name: SLUICE_STATE__FEATURES_URL, value: "redis://{{ include "sluice.name" . }}-features:6379/0"}
{{- else }}
{{- range $name, $part := dict "CONTROL" .Values.state.control "FEATURES" .Values.state.features }}
{{- if $part.secret }}
- name: SLUICE_STATE__{{ $name }}_URL
  valueFrom: {secretKeyRef: {name: {{ $part.secret | quote }}, key: {{ $part.key | quote }}}}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .Values.engine "external" }}
- name: SLUICE_POOL_SECRET
  valueFrom: {secretKeyRef: {name: {{ .Values.ray.secret | quote }}, key: {{ .Values.ray.key | quote }}}}
{{- end }}
{{- end }}

{{- define "sluice.mounts" -}}
- {name: config, mountPath: /etc/sluice/config, readOnly: true}
- {name: scratch, mountPath: /tmp}
{{- if or .Values.models.claim .Values.models.init.image }}
- {name: models, mountPath: {{ .Values.models.path | quote }}, readOnly: true}
{{- end }}
{{- if .Values.state.tls.secret }}
- {name: tls, mountPath: /etc/sluice/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "sluice.volumes" -}}
- {name: config, configMap: {name: {{ include "sluice.name" . }}-config}}
- {name: scratch, emptyDir: {}}
{{- if .Values.models.claim }}
- {name: models, persistentVolumeClaim: {claimName: {{ .Values.models.claim | quote }}, readOnly: true}}
{{- else if .Values.models.init.image }}
- {name: models, emptyDir: {}}
{{- end }}
{{- if .Values.state.tls.secret }}
- {name: tls, secret: {secretName: {{ .Values.state.tls.secret | quote }}, defaultMode: 0440}}
{{- end }}
{{- end }}

{{- define "sluice.init" -}}
{{- if .Values.models.init.image }}
initContainers:
  - name: models
    image: {{ .Values.models.init.image | quote }}
    {{- with .Values.models.init.command }}
    command: {{ toJson . }}
    {{- end }}
    {{- with .Values.models.init.secret }}
    envFrom: [{secretRef: {name: {{ . | quote }}}}]
    {{- end }}
    securityContext: {{- include "sluice.container" . | nindent 6 }}
    volumeMounts:
      - {name: models, mountPath: {{ .Values.models.path | quote }}}
      - {name: scratch, mountPath: /tmp}
{{- end }}
{{- end }}

{{- define "sluice.pod" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "sluice.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "sluice.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- end }}
