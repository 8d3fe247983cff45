package rewind

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/content"
)

// What happened to an object.
const (
	Added   = "added"
	Removed = "removed"
	Changed = "changed"
	Unseen  = "unseen"
)

// maxPaths bounds how many fields of one object are named.
const maxPaths = 5

type drifter struct {
	wave  map[string]int
	begun int
	// live is true when the plan was made from a cluster too, whose API server fills
	// in the same defaults.
	live bool
	out  []api.Drift
}

// drift compares the inventory of a plan with what is left of a fresh one.
func drift(p *api.MigrationPlan, was, now *index, begun int) []api.Drift {
	d := &drifter{wave: map[string]int{}, begun: begun, live: fromCluster(was.inv)}
	for i := range p.Waves {
		for _, n := range p.Waves[i].Namespaces {
			d.wave[n] = p.Waves[i].Number
		}
	}
	compare(d, was.namespaces, now.namespaces, now, func(n *api.Namespace) api.Ref { return n.Ref() }, d.namespace)
	compare(d, was.workloads, now.workloads, now, func(w *api.Workload) api.Ref { return w.Ref() }, d.workload)
	compare(d, was.services, now.services, now, func(s *api.Service) api.Ref { return s.Ref() }, d.service)
	compare(d, was.objects, now.objects, now, func(o *api.Object) api.Ref { return o.Ref() }, d.object)
	d.edges(was.inv.Edges, now.inv.Edges)
	d.kinds(was, now)
	slices.SortFunc(d.out, func(a, b api.Drift) int {
		return cmp.Or(a.Object.Compare(b.Object), cmp.Compare(a.What, b.What), cmp.Compare(a.Why, b.Why))
	})
	return d.out
}

// fromCluster tells whether an inventory was read from a cluster: no object of it
// stands in a file.
func fromCluster(inv *api.Inventory) bool {
	file := func(o api.Origin) bool { return o.File != "" && o.File != "cluster" }
	return !slices.ContainsFunc(inv.Namespaces, func(n api.Namespace) bool { return file(n.Origin) }) &&
		!slices.ContainsFunc(inv.Workloads, func(w api.Workload) bool { return file(w.Origin) })
}

// compare finds what is new, gone and changed of one kind of thing. differ lists the
// fields that do. What could not be seen is not gone.
func compare[K comparable, T any](d *drifter, was, now map[K]*T, seen *index, ref func(*T) api.Ref, differ func(a, b *T) []string) {
	for k, b := range now {
		a := was[k]
		if a == nil {
			d.add(ref(b), Added, nil)
			continue
		}
		if paths := differ(a, b); len(paths) > 0 {
			d.add(ref(b), Changed, paths)
		}
	}
	for k, a := range was {
		if now[k] == nil && seen.seen(ref(a)) {
			d.add(ref(a), Removed, nil)
		}
	}
}

// add says what a difference touches.
func (d *drifter) add(ref api.Ref, what string, paths []string) {
	ref = anyCluster(ref)
	wave := d.wave[spaceOf(ref)]
	x := api.Drift{Object: ref, What: what, Paths: paths, Wave: wave, Begun: wave > 0 && wave <= d.begun}
	x.Maybe = what == Changed && !d.live && defaulted(ref)
	where := "in no wave of the plan"
	switch {
	case x.Begun:
		where = fmt.Sprintf("in wave %d, which has begun", wave)
	case wave > 0:
		where = fmt.Sprintf("in wave %d, which has not begun", wave)
	}
	x.Why = fmt.Sprintf("%s since the plan was made; %s", what, where)
	if len(paths) > 0 {
		x.Why = fmt.Sprintf("%s since the plan was made (%s); %s", what, strings.Join(paths, ", "), where)
	}
	if x.Maybe {
		x.Why += "; maybe only defaults that the API server fills in: the plan was made from files"
	}
	d.out = append(d.out, x)
}

// defaulted tells whether API servers fill in fields of a kind. They do not for Istio's own.
func defaulted(r api.Ref) bool { return !strings.HasSuffix(r.Group, "istio.io") }

func (d *drifter) namespace(a, b *api.Namespace) []string {
	x, y := clone(a.Labels), clone(b.Labels)
	delete(x, "kubernetes.io/metadata.name") // set by every API server
	delete(y, "kubernetes.io/metadata.name")
	paths := content.Differing(values(x), values(y), "metadata.labels", maxPaths)
	paths = append(paths, content.Differing(values(a.Annotations), values(b.Annotations), "metadata.annotations", maxPaths-len(paths))...)
	if a.Implied && !b.Implied {
		paths = append(paths, "metadata")
	}
	return paths
}

func (d *drifter) workload(a, b *api.Workload) []string {
	type shape struct {
		ServiceAccount string
		HostNetwork    bool
		OS             string
		ManualProxy    bool
	}
	of := func(w *api.Workload) shape {
		return shape{cmp.Or(w.ServiceAccount, "default"), w.HostNetwork, w.OS, w.ManualProxy}
	}
	paths := content.Differing(values(a.PodLabels), values(b.PodLabels), "spec.template.metadata.labels", maxPaths)
	paths = append(paths, content.Differing(values(a.PodAnnotations), values(b.PodAnnotations), "spec.template.metadata.annotations", maxPaths-len(paths))...)
	x, y := of(a), of(b)
	for _, f := range []struct {
		path string
		same bool
	}{
		{"spec.template.spec.serviceAccountName", x.ServiceAccount == y.ServiceAccount},
		{"spec.template.spec.hostNetwork", x.HostNetwork == y.HostNetwork},
		{"spec.template.spec.nodeSelector", x.OS == y.OS},
		{"spec.template.spec.containers", slices.Equal(a.Containers, b.Containers) && x.ManualProxy == y.ManualProxy && samePorts(a.Ports, b.Ports) && slices.Equal(a.ProxyCalls, b.ProxyCalls)},
	} {
		if !f.same {
			paths = append(paths, f.path)
		}
	}
	if a.Pods.Observed && b.Pods.Observed && mixture(a.Pods) != mixture(b.Pods) && a.Pods.Total > 0 && b.Pods.Total > 0 {
		paths = append(paths, "sidecars of its pods")
	}
	return paths
}

func samePorts(a, b []api.ContainerPort) bool {
	return slices.EqualFunc(a, b, func(x, y api.ContainerPort) bool {
		return x.Name == y.Name && x.Port == y.Port && cmp.Or(x.Protocol, "TCP") == cmp.Or(y.Protocol, "TCP")
	})
}

func (d *drifter) service(a, b *api.Service) []string {
	paths := content.Differing(values(a.Labels), values(b.Labels), "metadata.labels", maxPaths)
	paths = append(paths, content.Differing(values(a.Annotations), values(b.Annotations), "metadata.annotations", maxPaths-len(paths))...)
	paths = append(paths, content.Differing(values(a.Selector), values(b.Selector), "spec.selector", maxPaths)...)
	target := func(p api.ServicePort) string { return cmp.Or(p.TargetPort, fmt.Sprint(p.Port)) }
	ports := slices.EqualFunc(a.Ports, b.Ports, func(x, y api.ServicePort) bool {
		return x.Name == y.Name && x.Port == y.Port && target(x) == target(y) && x.Protocol == y.Protocol && x.AppProtocol == y.AppProtocol &&
			cmp.Or(x.Transport, "TCP") == cmp.Or(y.Transport, "TCP")
	})
	for _, f := range []struct {
		path string
		same bool
	}{
		{"spec.ports", ports},
		{"spec.type", cmp.Or(a.Type, "ClusterIP") == cmp.Or(b.Type, "ClusterIP")},
		{"spec.clusterIP", a.Headless == b.Headless},
		{"spec.externalName", a.ExternalName == b.ExternalName},
		{"spec.publishNotReadyAddresses", a.PublishNotReady == b.PublishNotReady},
		{"spec.trafficDistribution", a.TrafficDistribution == b.TrafficDistribution},
	} {
		if !f.same {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// object compares all but what API servers and GitOps controllers write.
func (d *drifter) object(a, b *api.Object) []string {
	var paths []string
	keys := sortedKeys(a.Content)
	for k := range b.Content {
		if _, ok := a.Content[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		switch k {
		case "status", "apiVersion", "kind":
		case "metadata":
			paths = append(paths, content.Differing(labelsOf(a.Content), labelsOf(b.Content), "metadata.labels", maxPaths-len(paths))...)
			paths = append(paths, content.Differing(istioOnly(a.Annotations()), istioOnly(b.Annotations()), "metadata.annotations", maxPaths-len(paths))...)
		default:
			paths = append(paths, content.Differing(a.Content[k], b.Content[k], k, maxPaths-len(paths))...)
		}
	}
	return paths
}

// istioOnly are the annotations that Istio reads; others are notes of clients.
func istioOnly(annotations map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range annotations {
		if domain, _, _ := strings.Cut(k, "/"); strings.HasSuffix(domain, "istio.io") {
			out[k] = v
		}
	}
	return out
}

// edges compares call graphs: a new caller may be one that nobody has counted with.
func (d *drifter) edges(was, now []api.Edge) {
	type key struct{ from, to api.Ref }
	known, told := map[key]bool{}, map[api.Ref]bool{}
	for _, e := range was {
		known[key{anyCluster(e.From), anyCluster(e.To)}] = true
		told[anyCluster(e.To)] = true
	}
	for _, e := range now {
		k := key{anyCluster(e.From), anyCluster(e.To)}
		if known[k] || !told[k.to] {
			continue // of a Service that nobody named callers of, everybody was counted with
		}
		known[k] = true
		d.add(k.to, Changed, []string{"called by " + k.from.String()})
	}
}

// kinds lists those that were seen when the plan was made and are not now.
func (d *drifter) kinds(was, now *index) {
	for _, c := range now.inv.Coverage {
		if c.State.Known() || !was.coverage[[2]string{c.Group, c.Kind}].Known() {
			continue
		}
		d.out = append(d.out, api.Drift{
			Object: api.Ref{Group: c.Group, Kind: c.Kind, Name: "*"}, What: Unseen,
			Why: fmt.Sprintf("every %s was read when the plan was made, and now they are %s: %s", c.Kind, c.State, cmp.Or(c.Reason, "nobody knows what changed")),
		})
	}
}
