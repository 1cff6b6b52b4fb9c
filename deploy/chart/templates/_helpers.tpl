{{- define "ferrovia.namespace" -}}
{{ .Values.namespace | default .Release.Namespace }}
{{- end }}

{{- define "ferrovia.image" -}}
{{- $image := .Values.image }}
{{- $name := $image.repository }}
{{- if $image.name }}{{ $name = printf "%s/%s" $image.repository $image.name }}{{ end }}
{{- if $image.digest }}{{ printf "%s@%s" $name $image.digest }}{{ else }}{{ printf "%s:%s" $name ($image.tag | default .Chart.AppVersion) }}{{ end }}
{{- end }}

{{- define "ferrovia.labels" -}}
app.kubernetes.io/part-of: ferrovia
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{/* The node's folders: the platform's, each replaced by what paths says. YAML. */}}
{{- define "ferrovia.paths" -}}
{{- $usual := dict "cniConf" "/etc/cni/net.d" "cniBin" "/opt/cni/bin" "kubelet" "/var/lib/kubelet" }}
{{- $presets := dict
  "k3s" (dict "cniConf" "/var/lib/rancher/k3s/agent/etc/cni/net.d" "cniBin" "/var/lib/rancher/k3s/data/cni")
  "k0s" (dict "kubelet" "/var/lib/k0s/kubelet")
  "microk8s" (dict "cniConf" "/var/snap/microk8s/current/args/cni-network" "cniBin" "/var/snap/microk8s/current/opt/cni/bin" "kubelet" "/var/snap/microk8s/common/var/lib/kubelet")
  "openshift" (dict "cniConf" "/etc/kubernetes/cni/net.d" "cniBin" "/var/lib/cni/bin")
}}
{{- $preset := get $presets .Values.platform | default dict }}
{{- range $key := list "cniConf" "cniBin" "kubelet" }}
{{ $key }}: {{ get $.Values.paths $key | default (get $preset $key) | default (get $usual $key) | trimSuffix "/" | quote }}
{{- end }}
{{- end }}

{{/* What a container of ours may do: nothing, but for the capabilities given; nobody: it has no file of the node. */}}
{{- define "ferrovia.securityContext" -}}
{{- $openshift := eq .root.Values.platform "openshift" }}
{{- if not .nobody -}}
runAsUser: 0
runAsGroup: 0
{{- else -}}
runAsNonRoot: true
{{- if not $openshift }}
runAsUser: 65532
runAsGroup: 65532
{{- end }}
{{- end }}
privileged: false
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
  {{- with .capabilities }}
  add: [{{ join ", " . }}]
  {{- end }}
seccompProfile: {type: RuntimeDefault}
{{- if and $openshift (not .nobody) }}
# The node's files are not labelled for containers.
seLinuxOptions: {type: spc_t}
{{- end }}
{{- end }}

{{/* Where a component's pods run. */}}
{{- define "ferrovia.placement" -}}
nodeSelector:
  {{- toYaml (merge (dict "kubernetes.io/os" "linux") .nodeSelector) | nindent 2 }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Options of Go multus' entry point, without those that name places: here they are where the chart mounts them. */}}
{{- define "ferrovia.entrypointArgs" -}}
{{- $kept := list }}
{{- $places := list "--cni-bin-dir" "--cni-conf-dir" "--multus-bin-file" "--multus-autoconfig-dir" "--multus-cni-conf-dir" "--multus-kubeconfig-file-host" "--skip-multus-binary-copy" }}
{{- range .Values.daemonset.args }}
{{- if not (has (first (splitList "=" .)) $places) }}{{ $kept = append $kept . }}{{ end }}
{{- end }}
{{- toJson $kept }}
{{- end }}

{{/* Who multus-daemon is to the API server: its account, or each node by its certificate. */}}
{{- define "ferrovia.multusSubject" -}}
{{- if .Values.multus.certificates.enabled }}{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:multus"}
{{- else }}{kind: ServiceAccount, name: multus, namespace: {{ include "ferrovia.namespace" . }}}
{{- end }}
{{- end }}

{{/* Options of install and of thin. */}}
{{- define "ferrovia.installArgs" -}}
{{- $paths := include "ferrovia.paths" . | fromYaml -}}
- --cni-bin-dir=/host{{ $paths.cniBin }}
- --cni-conf-dir=/host{{ $paths.cniConf }}
{{- if eq .Values.multus.mode "thin" }}
- --multus-kubeconfig-file-host={{ $paths.cniConf }}/multus.d/multus.kubeconfig
{{- end }}
{{- if .Values.components.sriovCni }}
- --plugin=/usr/bin/sriov
{{- end }}
{{- range include "ferrovia.entrypointArgs" . | fromJsonArray }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* The daemon's configuration file. What multus.config says stands over the rest. */}}
{{- define "ferrovia.daemonConfig" -}}
{{- $paths := include "ferrovia.paths" . | fromYaml }}
{{- $multus := .Values.multus }}
{{- $config := dict "cniConfigDir" (printf "/host%s" $paths.cniConf) "socketDir" "/run/multus" "logLevel" $multus.logLevel "uninstallPolicy" $multus.uninstallPolicy }}
{{- if $multus.primary }}{{ $_ := set $config "multusMasterCNI" $multus.primary }}{{ end }}
{{- if $multus.namespaceIsolation }}{{ $_ := set $config "namespaceIsolation" true }}{{ end }}
{{- if $multus.globalNamespaces }}{{ $_ := set $config "globalNamespaces" $multus.globalNamespaces }}{{ end }}
{{- if $multus.readinessFile }}{{ $_ := set $config "readinessindicatorfile" $multus.readinessFile }}{{ end }}
{{- with $multus.certificates }}
{{- if .enabled }}{{ $_ := set $config "perNodeCertificate" (dict "enabled" true "bootstrapKubeconfig" .bootstrapKubeconfig "certDir" "/var/lib/cni/multus/certs" "certDuration" .duration) }}{{ end }}
{{- end }}
{{- if and .Values.metrics.enabled (eq $multus.mode "thick") }}{{ $_ := set $config "metricsPort" (int .Values.metrics.multusPort) }}{{ $_ := set $config "metricsAddress" (.Values.metrics.host | trimAll "[]") }}{{ end }}
{{- mergeOverwrite $config (deepCopy $multus.config) | toPrettyJson }}
{{- end }}

{{/* Whether VFs are made before they are offered: "true" or nothing. */}}
{{- define "ferrovia.provisions" -}}
{{- $asked := toString .Values.devicePlugin.provision }}
{{- if or (eq $asked "always") (and (eq $asked "auto") .Values.provision) }}true{{ end }}
{{- end }}

{{/* Whether a pool needs nodes of /dev to be looked at; of a configuration that is not the chart's nobody knows. */}}
{{- define "ferrovia.hostDev" -}}
{{- $asked := toString .Values.devicePlugin.hostDev }}
{{- $needed := or .Values.devicePlugin.configMap (regexMatch "(?i)\"(needVhostNet|isRdma|vdpaType|vfioMode)\"" (toJson .Values.pools)) }}
{{- if or (eq $asked "always") (and (eq $asked "auto") $needed) }}true{{ end }}
{{- end }}

{{/* Where sriovdp serves its probes, and its metrics if they are asked for. */}}
{{- define "ferrovia.sriovdpAddress" -}}
{{- if .Values.metrics.enabled }}{{ .Values.metrics.host }}:{{ int .Values.metrics.devicePluginPort }}{{ else }}unix:/run/sriovdp/http.sock{{ end }}
{{- end }}

{{/* The same, as it is asked from inside the container. */}}
{{- define "ferrovia.sriovdpProbe" -}}
{{- include "ferrovia.sriovdpAddress" . | replace "0.0.0.0:" "127.0.0.1:" | replace "[::]:" "[::1]:" }}
{{- end }}

{{/* Whether the API server knows ValidatingAdmissionPolicy (1.30), or the values say so. */}}
{{- define "ferrovia.statusPolicy" -}}
{{- $asked := toString .Values.multus.statusPolicy }}
{{- $known := semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}
{{- if and .Values.components.multus (or (eq $asked "always") (and (eq $asked "auto") $known)) }}true{{ end }}
{{- end }}

{{/* Copies CNI programs to the node, whole or not at all. */}}
{{- define "ferrovia.installPlugins" -}}
- name: install-sriov
  image: {{ include "ferrovia.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [/usr/bin/multus-daemon]
  args:
    - install
    - --only-plugins
    - --plugin=/usr/bin/sriov
    - --cni-bin-dir=/host{{ (include "ferrovia.paths" . | fromYaml).cniBin }}
  securityContext:
    {{- include "ferrovia.securityContext" (dict "root" . "capabilities" .Values.devicePlugin.capabilities) | nindent 4 }}
  resources:
    {{- toYaml .Values.devicePlugin.resources | nindent 4 }}
  volumeMounts:
    - {name: cni-bin, mountPath: /host{{ (include "ferrovia.paths" . | fromYaml).cniBin }}}
{{- end }}
