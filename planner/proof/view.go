package proof

import (
	"slices"
	"strconv"

	typev1beta1 "istio.io/api/type/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// view is all that a state holds of one Service that decides what happens to a
// call of it.
type view struct {
	// key is equal for views that are alike.
	key string
	// waypoint takes what is addressed to the Service; nil when nothing does.
	waypoint *waypoint
	attached []policy
	tokens   []tokens
	// ingress is true when gateways pass the waypoint as well.
	ingress bool
	pods    []podView
	// routes is the state whose routes and traffic policies act on calls; nil when an
	// object of them does not fit its kind. routesKey tells it from others and is empty
	// for that of today.
	routes    *mesh.State
	routesKey string
}

// podView is what a state holds of one workload behind a Service.
type podView struct {
	workload *api.Workload
	modes    modes
	policies []policy
	tokens   []tokens
}

// viewOf builds the view of a Service in a state.
func (p *prover) viewOf(w world, svc *api.Service) view {
	v := view{waypoint: p.waypointOf(w, svc)}
	key := []byte{}
	if v.waypoint != nil {
		v.attached, v.tokens = p.attachedTo(w, svc, v.waypoint.ref)
		v.ingress = p.label(w, svc, mesh.LabelIngressUse) == "true"
		key = append(append(append(append(key, v.waypoint.ref.Namespace...), '/'), v.waypoint.ref.Name...), ' ')
		key = strconv.AppendBool(key, v.ingress)
		key = ids(key, v.attached, v.tokens)
	}
	for _, wl := range p.behind[svc] {
		pv := podView{workload: wl, modes: p.modesOf(w, wl)}
		pv.policies, pv.tokens = p.selecting(w, wl)
		key = append(key, ';')
		key = strconv.AppendInt(key, int64(pv.modes), 10)
		key = ids(key, pv.policies, pv.tokens)
		v.pods = append(v.pods, pv)
	}
	v.routes, v.routesKey = p.routesIn(w, p.targetOf[svc])
	if v.routesKey != "" {
		key = append(append(key, " routes "...), v.routesKey...)
	}
	v.key = string(key)
	return v
}

func ids(key []byte, ps []policy, ts []tokens) []byte {
	for _, o := range ps {
		key = strconv.AppendInt(append(key, ','), int64(o.id), 10)
	}
	key = append(key, '|')
	for _, o := range ts {
		key = strconv.AppendInt(append(key, ','), int64(o.id), 10)
	}
	return key
}

// label of a Service, else of its namespace.
func (p *prover) label(w world, svc *api.Service, key string) string {
	if v, ok := w.labelsOf(svc)[key]; ok {
		return v
	}
	return w.space(svc.Namespace).labels[key]
}

// waypointOf is the waypoint that a Service names, if it is there and takes the
// Service. Otherwise callers reach the pods directly: a label that names a
// waypoint which is not there or refuses is no waypoint at all, and does not fall
// back to that of the namespace. Source: facts E-18.
func (p *prover) waypointOf(w world, svc *api.Service) *waypoint {
	if svc.Headless || svc.Type == "ExternalName" {
		return nil
	}
	labels := w.labelsOf(svc)
	name, ok := labels[mesh.LabelUseWaypoint]
	if !ok {
		labels = w.space(svc.Namespace).labels
		name = labels[mesh.LabelUseWaypoint]
	}
	if name == "" || name == "none" {
		return nil
	}
	ns := svc.Namespace
	if o := labels[mesh.LabelUseWaypointNS]; o != "" {
		ns = o
	}
	s := w.space(ns)
	if s == nil {
		return nil
	}
	wp, ok := s.waypoints[name]
	if !ok || !wp.serves(svc.Namespace, w.space(svc.Namespace).labels) {
		return nil
	}
	return &wp
}

// attachedTo lists what a waypoint enforces for a Service. Source: facts L-15,
// C-60, C-62: Services in the policy's namespace, Gateways in theirs, the class
// in the root namespace.
func (p *prover) attachedTo(w world, svc *api.Service, ref api.WaypointRef) ([]policy, []tokens) {
	var ps []policy
	var ts []tokens
	for _, ns := range slices.Compact(sorted(svc.Namespace, ref.Namespace, p.st.RootNamespace())) {
		s := w.space(ns)
		for _, o := range s.policies {
			if p.attaches(ns, append(slices.Clone(o.Spec.GetTargetRefs()), o.Spec.GetTargetRef()), svc, ref) {
				ps = append(ps, o)
			}
		}
		for _, o := range s.tokens {
			if p.attaches(ns, append(slices.Clone(o.Spec.GetTargetRefs()), o.Spec.GetTargetRef()), svc, ref) {
				ts = append(ts, o)
			}
		}
	}
	slices.SortFunc(ps, func(a, b policy) int { return a.id - b.id })
	slices.SortFunc(ts, func(a, b tokens) int { return a.id - b.id })
	return ps, ts
}

// targetReference is an entry of targetRefs.
type targetReference = typev1beta1.PolicyTargetReference

func (p *prover) attaches(ns string, refs []*targetReference, svc *api.Service, w api.WaypointRef) bool {
	return slices.ContainsFunc(refs, func(r *targetReference) bool {
		switch r.GetKind() {
		case "Service":
			return ns == svc.Namespace && r.GetName() == svc.Name
		case "Gateway":
			return ns == w.Namespace && r.GetName() == w.Name
		case "GatewayClass":
			return ns == p.st.RootNamespace() && r.GetName() == "istio-waypoint"
		}
		return false
	})
}

// selecting lists what applies to the pods of a workload by selector: policies of
// the root namespace and of its own. Source: facts L-02.
func (p *prover) selecting(w world, wl *api.Workload) ([]policy, []tokens) {
	var ps []policy
	var ts []tokens
	labels := w.podLabels(wl)
	for _, ns := range slices.Compact(sorted(wl.Namespace, p.st.RootNamespace())) {
		s := w.space(ns)
		for _, o := range s.policies {
			if !mesh.HasTargetRef(o.Spec) && mesh.Selects(o.Spec.GetSelector().GetMatchLabels(), labels) {
				ps = append(ps, o)
			}
		}
		for _, o := range s.tokens {
			if o.Spec.GetTargetRef() == nil && len(o.Spec.GetTargetRefs()) == 0 && mesh.Selects(o.Spec.GetSelector().GetMatchLabels(), labels) {
				ts = append(ts, o)
			}
		}
	}
	slices.SortFunc(ps, func(a, b policy) int { return a.id - b.id })
	slices.SortFunc(ts, func(a, b tokens) int { return a.id - b.id })
	return ps, ts
}

func sorted(names ...string) []string { slices.Sort(names); return names }
