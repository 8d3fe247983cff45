package inventory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// addWorkload keeps what owns pods. A ReplicaSet or Job that something else
// controls only leads from its pods to that owner.
func (b *builder) addWorkload(d *document) {
	ref := d.ref(b.cluster)
	if d.gk.kind == "ReplicaSet" || d.gk.kind == "Job" {
		if owner, ok := controllerOf(object(d.content, "metadata")); ok {
			b.owners[ref] = owner
			return
		}
	}
	prefix := "spec.template"
	template := object(d.content, "spec", "template")
	if d.gk.kind == "CronJob" {
		prefix = "spec.jobTemplate.spec.template"
		template = object(d.content, "spec", "jobTemplate", "spec", "template")
	}
	w := &api.Workload{
		Cluster: b.cluster, Group: d.gk.group, Kind: d.gk.kind, Namespace: d.namespace, Name: d.name,
		APIVersion: groupVersion(d.gk.group, d.apiVersion),
		Labels:     stringMap(d.content, "metadata", "labels"),
		Owner:      ownerOf(d.content),
	}
	switch d.gk.kind {
	case "Deployment", "StatefulSet", "ReplicaSet", "Rollout":
		one := int32(1) // the API server's default
		w.Replicas = &one
		if n, ok := number(d.content, "spec", "replicas"); ok {
			w.Replicas = &n
		}
	}
	projectPodSpec(w, stringMap(template, "metadata", "labels"), stringMap(template, "metadata", "annotations"),
		object(template, "spec"), prefix+".spec")
	w.Origin = d.workloadOrigin(prefix, w.ProxyCalls)
	if d.gk.kind == "Rollout" {
		w.Shifts = b.shiftedBy(d)
	}
	b.workloads[ref] = w
	b.control(w, d, template)
}

// groupVersion is the apiVersion with the group that the kind has today.
func groupVersion(group, apiVersion string) string {
	_, version, ok := strings.Cut(apiVersion, "/")
	if !ok || group == "" {
		return apiVersion
	}
	return group + "/" + version
}

// workloadOrigin gives the place of a workload, with the lines of the fields that are
// kept. template is the field path of the pod template; "" for a pod.
func (d *document) workloadOrigin(template string, calls []string) api.Origin {
	if template != "" {
		template += "."
	}
	o := d.at("metadata.name", "metadata.labels", "metadata.annotations", "spec.replicas", "spec.selector",
		template+"metadata.labels", template+"metadata.annotations")
	spec := template + "spec."
	below := make([]string, len(calls))
	for i, c := range calls {
		below[i] = strings.TrimPrefix(c, spec)
	}
	for p, l := range d.lines {
		if rest, ok := strings.CutPrefix(p, spec); ok && l > 0 && inPodSpec(rest, below) {
			if o.Fields == nil {
				o.Fields = map[string]int{}
			}
			o.Fields[p] = l
		}
	}
	return o
}

// projectPodSpec fills what a workload takes from its pod template. path is the
// field path of the pod spec.
func projectPodSpec(w *api.Workload, labels, annotations map[string]string, spec map[string]any, path string) {
	w.PodLabels = labels
	w.PodAnnotations = meshAnnotations(annotations)
	w.ServiceAccount = str(spec, "serviceAccountName")
	if w.ServiceAccount == "" {
		w.ServiceAccount = str(spec, "serviceAccount")
	}
	if w.ServiceAccount == "" {
		w.ServiceAccount = "default"
	}
	w.HostNetwork = truth(spec, "hostNetwork")
	if str(spec, "nodeSelector", "kubernetes.io/os") == "windows" || str(spec, "nodeSelector", "beta.kubernetes.io/os") == "windows" || str(spec, "os", "name") == "windows" {
		w.OS = "windows"
	}
	for i, c := range objects(spec, "containers") {
		w.Containers = append(w.Containers, str(c, "name"))
		if isProxy(c) {
			w.ManualProxy = true
			continue
		}
		for _, p := range objects(c, "ports") {
			if n, ok := number(p, "containerPort"); ok {
				w.Ports = append(w.Ports, api.ContainerPort{Name: str(p, "name"), Port: n, Protocol: str(p, "protocol")})
			}
		}
		proxyCalls(c, fmt.Sprintf("%s.containers[%d]", path, i), &w.ProxyCalls)
	}
	for i, c := range objects(spec, "initContainers") {
		if isProxy(c) && str(c, "restartPolicy") == "Always" {
			w.ManualProxy = true
			w.Containers = append(w.Containers, str(c, "name"))
			continue
		}
		if str(c, "restartPolicy") == "Always" {
			w.Containers = append(w.Containers, str(c, "name"))
		}
		proxyCalls(c, fmt.Sprintf("%s.initContainers[%d]", path, i), &w.ProxyCalls)
	}
	slices.Sort(w.ProxyCalls)
}

// isProxy tells whether a container is a sidecar. ztunnel's container has the same name.
func isProxy(c map[string]any) bool {
	if str(c, "name") != "istio-proxy" {
		return false
	}
	args, _ := get(c, "args").([]any)
	for _, a := range args {
		if a == "ztunnel" {
			return false
		}
	}
	return !strings.Contains(str(c, "image"), "/ztunnel")
}

// proxyAddress is the sidecar's own ports on the loopback: Envoy's admin (15000),
// the agent's status, /quitquitquit and metrics (15020), readiness (15021).
var proxyAddress = regexp.MustCompile(`(localhost|127\.0\.0\.1|\[::1\]):(15000|15020|15021)\b`)

// proxyCalls collects the field paths of commands, hooks and probes of a
// container that call its sidecar (facts L-65, E-26).
func proxyCalls(c map[string]any, path string, out *[]string) {
	for _, k := range []string{"command", "args"} {
		if mentionsProxy(c[k]) {
			*out = append(*out, path+"."+k)
		}
	}
	hooks := [][]string{{"lifecycle", "preStop"}, {"lifecycle", "postStart"}, {"livenessProbe"}, {"readinessProbe"}, {"startupProbe"}}
	for _, h := range hooks {
		hook := object(c, h...)
		if mentionsProxy(get(hook, "exec", "command")) {
			*out = append(*out, path+"."+strings.Join(h, ".")+".exec.command")
		}
		for _, k := range []string{"httpGet", "tcpSocket"} {
			port, _ := number(hook, k, "port")
			if port == 15000 || port == 15020 || port == 15021 {
				*out = append(*out, path+"."+strings.Join(h, ".")+"."+k)
			}
		}
	}
}

func mentionsProxy(v any) bool {
	list, _ := v.([]any)
	for _, s := range list {
		if t, ok := s.(string); ok && proxyAddress.MatchString(t) {
			return true
		}
	}
	return false
}

// shiftedBy lists what an Argo Rollout rewrites to shift traffic (facts Q-90).
func (b *builder) shiftedBy(d *document) []api.Ref {
	istio := object(d.content, "spec", "strategy", "canary", "trafficRouting", "istio")
	var out []api.Ref
	add := func(kind, name string) {
		namespace := d.namespace
		if n, ns, ok := strings.Cut(name, "."); ok && kind == "VirtualService" {
			name, namespace, _ = n, ns, ok
		}
		if name != "" && isName(name) && isName(namespace) {
			out = append(out, api.Ref{Cluster: b.cluster, Group: "networking.istio.io", Kind: kind, Namespace: namespace, Name: name})
		}
	}
	add("VirtualService", str(istio, "virtualService", "name"))
	for _, v := range objects(istio, "virtualServices") {
		add("VirtualService", str(v, "name"))
	}
	add("DestinationRule", str(istio, "destinationRule", "name"))
	return out
}
