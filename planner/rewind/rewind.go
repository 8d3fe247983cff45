package rewind

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/content"
)

// ErrOtherMesh says that nothing which a plan speaks of is in the inventory.
var ErrOtherMesh = errors.New("nothing that the plan speaks of is in the inventory: it looks like another cluster")

// offPlan is the id of the unknowns that rewinding gives.
const offPlan = "off-plan"

// gatewayName is the label that istiod puts on what it makes for a Gateway.
const gatewayName = "gateway.networking.k8s.io/gateway-name"

// Result is a rewound inventory, and where the mesh stands.
type Result struct {
	// Inventory is the mesh as it would be without the migration.
	Inventory *api.Inventory
	// Done is how many steps of the plan stand, from the first on; Places lists all of them.
	Done   int
	Places []api.StepPlace
	// Partly is true when a part of the step after those stands as well; Missing are the
	// objects that the rest of it has still to change.
	Partly  bool
	Missing []api.Ref
	// Begun is the number of the last wave of which anything stands; 0 is none.
	Begun int
	// Off are the objects that the plan changes and that do not stand where the mesh
	// does, those of a step that stands in part left out.
	Off []api.OffPlan
	// Drift is what others changed since the plan was made.
	Drift []api.Drift
}

// Rewind takes what stands of a plan out of the inventory now. was is the inventory
// that the plan was made from. It wraps ErrOtherMesh when the plan is not about this mesh.
func Rewind(p *api.MigrationPlan, was, now *api.Inventory) (*Result, error) {
	if len(was.Clusters) > 1 || len(now.Clusters) > 1 {
		return nil, errors.New("a plan is followed in one cluster, and the inventory holds several")
	}
	r := &rewinder{plan: p, was: newIndex(was), places: places(p)}
	r.out = copyOf(now, clusterName(was), referenceName(was))
	r.now = newIndex(r.out)
	r.histories = histories(p, r.was)
	if r.foreign() {
		return nil, ErrOtherMesh
	}
	res := &Result{Places: r.places}
	res.Done = r.position()
	res.Partly = r.partly(res.Done)
	if res.Partly {
		res.Missing = r.missing(res.Done)
	}
	for i := range r.places {
		if i < res.Done || i == res.Done && res.Partly {
			res.Begun = max(res.Begun, r.places[i].Wave)
		}
	}
	res.Off = r.off(res.Done, res.Partly)
	touched := r.touched()
	r.rewindObjects()
	r.dropMade()
	r.rewindPods(touched)
	if len(r.out.Edges) == 0 {
		r.out.Edges = was.Edges
	}
	for _, o := range res.Off {
		r.unknown(o)
	}
	slices.SortFunc(r.out.Unknowns, api.Unknown.Compare)
	res.Inventory = r.out
	res.Drift = drift(p, r.was, newIndex(r.out), res.Begun)
	return res, nil
}

type rewinder struct {
	plan      *api.MigrationPlan
	was, now  *index
	out       *api.Inventory
	places    []api.StepPlace
	histories []*history
}

// foreign tells whether nothing is found of a plan that speaks of objects.
func (r *rewinder) foreign() bool {
	for _, h := range r.histories {
		if h.first == nil {
			continue
		}
		if c, known := r.now.now(h.ref); c != nil || !known {
			return false
		}
	}
	return len(r.histories) > 0
}

// position is the number of finished steps that the fewest objects contradict; the
// smallest of several. Changes by hand count only where nothing else tells: a person
// may have forgotten one.
func (r *rewinder) position() int {
	wrong := make([]int, len(r.places)+1)
	for _, h := range r.histories {
		live, known := r.now.now(h.ref)
		if !known {
			continue
		}
		from := 0
		for i := 0; i <= len(h.turns); i++ {
			until, want := len(r.places), h.at(from)
			if i < len(h.turns) {
				until = h.turns[i].step
			}
			if until < from {
				continue // changed twice in one step
			}
			if !h.matches(live, want) {
				for d := from; d <= until; d++ {
					wrong[d]++
				}
			}
			from = until + 1
		}
	}
	best := 0
	for d, n := range wrong {
		if n < wrong[best] {
			best = d
		}
	}
	return best
}

// partly tells whether an object is where the next step takes it.
func (r *rewinder) partly(done int) bool {
	return slices.ContainsFunc(r.histories, func(h *history) bool { return r.ahead(h, done) })
}

// missing lists the objects that the next step changes and that are not changed yet.
func (r *rewinder) missing(done int) []api.Ref {
	var out []api.Ref
	for _, h := range r.histories {
		live, known := r.now.now(h.ref)
		if known && slices.ContainsFunc(h.turns, func(t turn) bool { return t.step == done }) && !h.matches(live, h.at(done+1)) {
			out = append(out, h.ref)
		}
	}
	return out
}

// ahead tells whether an object is changed by the next step and is already changed.
func (r *rewinder) ahead(h *history, done int) bool {
	if !slices.ContainsFunc(h.turns, func(t turn) bool { return t.step == done }) {
		return false
	}
	live, known := r.now.now(h.ref)
	return known && !h.matches(live, h.at(done)) && h.matches(live, h.at(done+1))
}

// off lists the objects that are not where the mesh is.
func (r *rewinder) off(done int, partly bool) []api.OffPlan {
	var out []api.OffPlan
	for _, h := range r.histories {
		live, known := r.now.now(h.ref)
		if !known || h.matches(live, h.at(done)) || partly && r.ahead(h, done) {
			continue
		}
		o := api.OffPlan{Object: h.ref}
		if place, ok := r.stands(h, live); ok {
			o.Stands = &place
			o.Why = fmt.Sprintf("it is as the plan has it after step %s of wave %d", place.Step, place.Wave)
			if place == (api.StepPlace{}) {
				o.Why = "it is as it was before the migration"
			}
			out = append(out, o)
			continue
		}
		switch want := h.at(done); {
		case live == nil:
			o.Why = "it is not there, and the plan has it"
		case want == nil:
			o.Why = "it is there, and at this place of the plan it is not"
		default:
			o.Why, o.Paths = "it is not as the plan has it at any place", h.differing(want, live)
		}
		out = append(out, o)
	}
	return out
}

// differing are the fields of the plan that differ.
func (h *history) differing(want, live api.Content) []string {
	if !h.fragment {
		return content.Differing(want["spec"], live["spec"], "spec", 5)
	}
	var out []string
	for _, f := range h.fields {
		x, okX := content.Lookup(want, f)
		y, okY := content.Lookup(live, f)
		if okX != okY || okX && !content.Same(x, y) {
			at := ""
			for _, k := range f {
				at = content.Join(at, k)
			}
			out = append(out, at)
		}
	}
	return out
}

// stands finds the last place of the plan at which an object is as it is; the zero
// Place is before the first step.
func (r *rewinder) stands(h *history, live api.Content) (api.StepPlace, bool) {
	for _, t := range slices.Backward(h.turns) {
		if h.matches(live, t.after) {
			return r.places[t.step], true
		}
	}
	return api.StepPlace{}, h.matches(live, h.first)
}

// rewindObjects puts every object that the plan changes back to what it was.
func (r *rewinder) rewindObjects() {
	gone := map[api.Ref]bool{}
	for _, h := range r.histories {
		if _, known := r.now.now(h.ref); !known {
			continue
		}
		if h.fragment {
			r.restoreFields(h)
			continue
		}
		if h.first == nil {
			gone[anyCluster(h.ref)] = true
			continue
		}
		r.restore(h)
	}
	r.out.Objects = slices.DeleteFunc(r.out.Objects, func(o api.Object) bool { return gone[anyCluster(o.Ref())] })
	r.out.Services = slices.DeleteFunc(r.out.Services, func(s api.Service) bool { return gone[anyCluster(s.Ref())] })
	slices.SortFunc(r.out.Objects, func(x, y api.Object) int { return x.Ref().Compare(y.Ref()) })
}

// restore puts a whole object back.
func (r *rewinder) restore(h *history) {
	ref := anyCluster(h.ref)
	before := r.was.objects[ref]
	if before == nil {
		return // a Service or workload, of which only fragments are changed
	}
	for i := range r.out.Objects {
		if anyCluster(r.out.Objects[i].Ref()) == ref {
			r.out.Objects[i] = *before
			return
		}
	}
	r.out.Objects = append(r.out.Objects, *before)
}

// restoreFields puts the plan's fields of somebody else's object back.
func (r *rewinder) restoreFields(h *history) {
	for _, f := range h.fields {
		old, had := content.Lookup(h.first, f)
		target := r.mapOf(h.ref, f)
		if target == nil {
			continue
		}
		key := f[len(f)-1]
		if !had {
			if *target != nil {
				delete(*target, key)
			}
			continue
		}
		if *target == nil {
			*target = map[string]string{}
		}
		(*target)[key] = fmt.Sprint(old)
	}
}

// mapOf finds the labels or annotations of the inventory that a field of an object is
// in; nil when the inventory does not keep it, or has no such object.
func (r *rewinder) mapOf(ref api.Ref, field []string) *map[string]string {
	if len(field) < 3 {
		return nil
	}
	labels := field[len(field)-2] == "labels"
	pick := func(l, a *map[string]string) *map[string]string {
		if labels {
			return l
		}
		return a
	}
	ref = anyCluster(ref)
	switch {
	case ref.Group == "" && ref.Kind == "Namespace":
		if n := r.now.namespaces[ref.Name]; n != nil {
			return pick(&n.Labels, &n.Annotations)
		}
	case ref.Group == "" && ref.Kind == "Service":
		if s := r.now.services[ref]; s != nil {
			return pick(&s.Labels, &s.Annotations)
		}
	default:
		if w := r.now.workloads[ref]; w != nil {
			if field[0] == "metadata" && w.Kind != "Pod" {
				return pick(&w.Labels, new(map[string]string))
			}
			return pick(&w.PodLabels, &w.PodAnnotations)
		}
	}
	return nil
}

// dropMade leaves out what istiod makes for the Gateways of the plan.
func (r *rewinder) dropMade() {
	ours := map[[2]string]bool{}
	for _, h := range r.histories {
		if h.first == nil && h.ref.Kind == "Gateway" {
			ours[[2]string{h.ref.Namespace, h.ref.Name}] = true
		}
	}
	made := func(namespace string, labels map[string]string) bool {
		return ours[[2]string{namespace, labels[gatewayName]}]
	}
	r.out.Objects = slices.DeleteFunc(r.out.Objects, func(o api.Object) bool {
		if made(o.Namespace, o.Labels()) {
			return true
		}
		if o.Owner == nil || o.Owner.By != "controller" {
			return false
		}
		name, byGateway := strings.CutPrefix(o.Owner.Name, "Gateway/")
		return byGateway && ours[[2]string{o.Namespace, name}]
	})
	r.out.Workloads = slices.DeleteFunc(r.out.Workloads, func(w api.Workload) bool {
		return made(w.Namespace, w.Labels) || made(w.Namespace, w.PodLabels)
	})
	r.out.Services = slices.DeleteFunc(r.out.Services, func(s api.Service) bool { return made(s.Namespace, s.Labels) })
}

// rewindPods gives the pods of namespaces in which the plan has changed something back
// the sidecars that they had. Of workloads that are new since, nobody has seen pods in
// the old mode: what they would be follows from labels.
func (r *rewinder) rewindPods(touched map[string]bool) {
	for i := range r.out.Workloads {
		w := &r.out.Workloads[i]
		if !touched[w.Namespace] || !w.Pods.Observed {
			continue
		}
		before := r.was.workloads[anyCluster(w.Ref())]
		switch {
		case before == nil:
			w.Pods = api.PodCounts{}
		case mixture(before.Pods) != mixture(w.Pods):
			w.Pods = before.Pods
		}
	}
}

// touched are the namespaces in which the plan has set a field of a workload, a
// Service or the namespace.
func (r *rewinder) touched() map[string]bool {
	out := map[string]bool{}
	for _, h := range r.histories {
		if live, known := r.now.now(h.ref); h.fragment && known && live != nil && !h.matches(live, h.first) {
			out[spaceOf(h.ref)] = true
		}
	}
	return out
}

func spaceOf(r api.Ref) string {
	if r.Kind == "Namespace" && r.Group == "" {
		return r.Name
	}
	return r.Namespace
}

// mixture is what kinds of pods there are.
func mixture(p api.PodCounts) [3]bool { return [3]bool{p.Sidecar > 0, p.Ambient > 0, p.Uncaptured > 0} }

// unknown tells of an object that is off the plan: the rewound inventory has it as it
// was when the plan was made, and what was done to it since is not in it.
func (r *rewinder) unknown(o api.OffPlan) {
	what := fmt.Sprintf("%s does not stand where the migration does: %s", o.Object, o.Why)
	if len(o.Paths) > 0 {
		what += " (" + strings.Join(o.Paths, ", ") + ")"
	}
	r.out.Unknowns = append(r.out.Unknowns, api.Unknown{
		ID: offPlan, Subject: o.Object, What: what,
		Could:    "the mesh is judged with the object as it was when the plan was made, and as the steps change it",
		Action:   "see who changed it and why; take the change back, or carry the step out for it",
		Evidence: []api.Evidence{{Object: o.Object, Source: "cluster"}},
	})
}

// clusterName is the name that an inventory gives its cluster.
func clusterName(inv *api.Inventory) string {
	if len(inv.Clusters) == 0 {
		return ""
	}
	return inv.Clusters[0].Name
}

// referenceName is the name of the cluster in the references of an inventory: none in that
// of a plan, which is of one cluster.
func referenceName(inv *api.Inventory) string {
	if len(inv.Namespaces) == 0 {
		return clusterName(inv)
	}
	return inv.Namespaces[0].Cluster
}

// clone of a map of strings.
func clone(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// copyOf an inventory, with what rewinding writes to and under the names that the
// cluster and its references have in the plan.
func copyOf(in *api.Inventory, name, cluster string) *api.Inventory {
	out := *in
	out.Clusters = slices.Clone(in.Clusters)
	for i := range out.Clusters {
		out.Clusters[i].Name = name
	}
	out.Namespaces = slices.Clone(in.Namespaces)
	for i := range out.Namespaces {
		n := &out.Namespaces[i]
		n.Cluster, n.Labels, n.Annotations = cluster, clone(n.Labels), clone(n.Annotations)
	}
	out.Workloads = slices.Clone(in.Workloads)
	for i := range out.Workloads {
		w := &out.Workloads[i]
		w.Cluster, w.Labels, w.PodLabels, w.PodAnnotations = cluster, clone(w.Labels), clone(w.PodLabels), clone(w.PodAnnotations)
		w.Shifts = slices.Clone(w.Shifts)
		for j := range w.Shifts {
			w.Shifts[j].Cluster = cluster
		}
	}
	out.Services = slices.Clone(in.Services)
	for i := range out.Services {
		s := &out.Services[i]
		s.Cluster, s.Labels, s.Annotations = cluster, clone(s.Labels), clone(s.Annotations)
	}
	out.Objects = slices.Clone(in.Objects)
	for i := range out.Objects {
		out.Objects[i].Cluster = cluster
	}
	out.Edges = slices.Clone(in.Edges)
	for i := range out.Edges {
		out.Edges[i].From.Cluster, out.Edges[i].To.Cluster = cluster, cluster
	}
	out.Coverage = slices.Clone(in.Coverage)
	for i := range out.Coverage {
		out.Coverage[i].Cluster = cluster
	}
	out.Unknowns = slices.Clone(in.Unknowns)
	for i := range out.Unknowns {
		out.Unknowns[i].Subject.Cluster = cluster
	}
	return &out
}
