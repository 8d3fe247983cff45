package inventory

import (
	"cmp"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// pod is what is kept of a pod until all owners are known.
type pod struct {
	namespace, name string
	owner           ownerRef
	hash            string // of the pod template, as its ReplicaSet knows it
	rollout         bool
	live            bool
	done            bool
	sidecar, native bool
	hbone, ambient  bool
	hostNetwork     bool
	// proxy is the container of its sidecar.
	proxy map[string]any
	// shape is the workload that this pod alone would make.
	shape *api.Workload
}

// addPod keeps a pod for aggregate.
func (b *builder) addPod(d *document) {
	c := d.content
	labels := stringMap(c, "metadata", "labels")
	annotations := stringMap(c, "metadata", "annotations")
	spec := object(c, "spec")
	p := pod{
		namespace: d.namespace, name: d.name,
		hash:    labels["pod-template-hash"],
		hbone:   labels["networking.istio.io/tunnel"] == "http",
		ambient: annotations["ambient.istio.io/redirection"] == "enabled",
	}
	if h := labels["rollouts-pod-template-hash"]; h != "" {
		p.hash, p.rollout = h, true
	}
	p.owner, _ = controllerOf(object(c, "metadata"))
	phase := str(c, "status", "phase")
	p.live = phase != "" || str(c, "spec", "nodeName") != "" || str(c, "metadata", "uid") != ""
	p.done = phase == "Succeeded" || phase == "Failed"
	p.hostNetwork = truth(spec, "hostNetwork")
	for _, k := range objects(spec, "containers") {
		if isProxy(k) {
			p.sidecar, p.proxy = true, k
		}
	}
	for _, k := range objects(spec, "initContainers") {
		if isProxy(k) && str(k, "restartPolicy") == "Always" {
			p.sidecar, p.native, p.proxy = true, true, k
		}
	}
	if annotations["sidecar.istio.io/status"] != "" {
		p.sidecar = true
	}
	if b.live {
		if ref, _ := b.ownerOfPod(&p); b.workloads[ref] != nil {
			if p.live {
				count(&b.workloads[ref].Pods, &p)
			}
			return
		}
	}
	w := &api.Workload{Cluster: b.cluster, Kind: "Pod", APIVersion: "v1", Namespace: d.namespace, Name: d.name, Labels: authoredLabels(labels)}
	projectPodSpec(w, authoredLabels(labels), annotations, spec, "spec")
	if p.live {
		// What the injector wrote is not what the author wrote.
		w.ManualProxy = false
		delete(w.PodAnnotations, "sidecar.istio.io/status")
		delete(w.PodAnnotations, "ambient.istio.io/redirection")
		delete(w.PodAnnotations, "istio.io/rev")
		if len(w.PodAnnotations) == 0 {
			w.PodAnnotations = nil
		}
	}
	w.Owner = ownerOf(c)
	w.Origin = d.workloadOrigin("", w.ProxyCalls)
	p.shape = w
	b.pods = append(b.pods, p)
}

// authoredLabels drops the labels that controllers and the injector add to pods.
func authoredLabels(in map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range in {
		switch k {
		case "pod-template-hash", "rollouts-pod-template-hash", "controller-revision-hash", "pod-template-generation",
			"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-uid", "job-name",
			"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
			"security.istio.io/tlsMode", "networking.istio.io/tunnel",
			"service.istio.io/canonical-name", "service.istio.io/canonical-revision":
		default:
			out[k] = v
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// aggregate counts the pods at their owners, and makes the owners that were not read.
func (b *builder) aggregate() {
	slices.SortFunc(b.pods, func(x, y pod) int {
		return cmp.Or(cmp.Compare(x.namespace, y.namespace), cmp.Compare(x.name, y.name))
	})
	made := map[api.Ref]bool{}
	for i := range b.pods {
		p := &b.pods[i]
		ref, version := b.ownerOfPod(p)
		w := b.workloads[ref]
		switch {
		case w == nil:
			w = p.shape
			if ref.Kind != "Pod" {
				w.Group, w.Kind, w.Name, w.APIVersion = ref.Group, ref.Kind, ref.Name, version
				w.Labels, w.Owner = nil, nil
			}
			made[ref] = true
			b.workloads[ref] = w
		case made[ref]:
			w.PodLabels = agreed(w.PodLabels, p.shape.PodLabels)
			w.PodAnnotations = agreed(w.PodAnnotations, p.shape.PodAnnotations)
		}
		if p.live {
			count(&w.Pods, p)
		}
	}
	b.pods = nil
}

// agreed keeps what two pods have in common.
func agreed(x, y map[string]string) map[string]string {
	var out map[string]string
	for k, v := range x {
		if w, ok := y[k]; ok && w == v {
			if out == nil {
				out = map[string]string{}
			}
			out[k] = v
		}
	}
	return out
}

// ownerOfPod follows the owner references of a pod to what people manage.
func (b *builder) ownerOfPod(p *pod) (ref api.Ref, apiVersion string) {
	o := p.owner
	if o.name == "" || o.kind == "Node" { // a static pod is owned by its node
		return api.Ref{Cluster: b.cluster, Kind: "Pod", Namespace: p.namespace, Name: p.name}, "v1"
	}
	ref = api.Ref{Cluster: b.cluster, Group: canonical(o.apiVersion, o.kind).group, Kind: o.kind, Namespace: p.namespace, Name: o.name}
	if up, ok := b.owners[ref]; ok {
		ref.Group, ref.Kind, ref.Name = canonical(up.apiVersion, up.kind).group, up.kind, up.name
		return ref, up.apiVersion
	}
	if b.workloads[ref] != nil {
		return ref, o.apiVersion
	}
	switch o.kind {
	case "ReplicaSet":
		// The ReplicaSet was not read; its name is the Deployment's and the hash.
		if name, ok := strings.CutSuffix(o.name, "-"+p.hash); ok && p.hash != "" && name != "" {
			if p.rollout {
				ref.Group, ref.Kind, ref.Name = "argoproj.io", "Rollout", name
				return ref, "argoproj.io/v1alpha1"
			}
			ref.Group, ref.Kind, ref.Name = "apps", "Deployment", name
			return ref, "apps/v1"
		}
	case "Job":
		// A CronJob names its Jobs after itself and the minute.
		if i := strings.LastIndexByte(o.name, '-'); i > 0 {
			cron := ref
			cron.Kind, cron.Name = "CronJob", o.name[:i]
			if b.workloads[cron] != nil && strings.Trim(o.name[i+1:], "0123456789") == "" {
				return cron, "batch/v1"
			}
		}
	}
	return ref, o.apiVersion
}
