package planner

import (
	"fmt"
	"slices"

	netv1 "k8s.io/api/networking/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// copyAttached attaches to the waypoint what else is attached to pods by
// selector: RequestAuthentication, WasmPlugin, TrafficExtension and Telemetry.
// A waypoint ignores all of these without targetRefs (facts L-15, L-24, L-50),
// except a Telemetry without selector, which it reads as it is (L-52).
func (s *stepper) copyAttached(st *step, ns string, services []*api.Decision) {
	for _, k := range []mesh.Kind{mesh.KindRequestAuthentication, mesh.KindWasmPlugin, mesh.KindTrafficExtension, mesh.KindTelemetry} {
		for _, o := range s.st.Objects(k) {
			if o.Namespace != ns && o.Namespace != s.st.RootNamespace() {
				continue
			}
			spec := translate.Spec(o.Content)
			if spec["targetRefs"] != nil || spec["targetRef"] != nil {
				continue
			}
			selector := selectorOf(spec)
			if k == mesh.KindTelemetry && len(selector) == 0 {
				continue
			}
			s.copyOne(st, ns, k, o, selector, services)
		}
	}
}

// copyOne copies one object for the services whose pods it selects, all of them.
func (s *stepper) copyOne(st *step, ns string, k mesh.Kind, o *api.Object, selector map[string]string, services []*api.Decision) {
	var names []string
	for _, d := range services {
		n := 0
		svc := s.st.Service(ns, d.Service)
		ws := s.st.WorkloadsOf(svc)
		for _, w := range ws {
			if mesh.Selects(selector, w.PodLabels) {
				n++
			}
		}
		switch {
		case n == 0:
		case n == len(ws):
			names = append(names, d.Service)
		default:
			st.findings = append(st.findings, api.Finding{
				ID: "C-60", Severity: api.Blocker, Subject: d.Subject,
				Message:  fmt.Sprintf("%s applies to some pods behind the Service and not to others", o.Ref()),
				Evidence: []api.Evidence{{Object: o.Ref(), Path: "spec.selector", Source: o.Origin.At("spec.selector")}},
				Effect:   "a waypoint cannot tell the pods apart; no copy was made for the Service",
				Action:   "give the pods a Service of their own, or let the selector select all pods of the Service",
			})
		}
	}
	slices.Sort(names)
	for chunk := range slices.Chunk(names, translate.MaxTargetRefs) {
		name := o.Name
		if o.Namespace != ns {
			name = o.Namespace + "-" + name
		}
		ref := o.Ref()
		ref.Namespace, ref.Name = ns, shortName(name, "-waypoint", 253)
		c := translate.Attach(o, ns, s.free(ref), chunk)
		why := fmt.Sprintf("%s as the waypoint applies it; inert for sidecars", o.Ref())
		if k == mesh.KindRequestAuthentication && translate.ForwardToken(c) {
			why += "; the token is passed on while sidecars behind the waypoint check it again"
		}
		st.create(c, why, "C-70", "L-24", "L-25")
	}
}

// selectorOf reads spec.selector.matchLabels of an Istio object.
func selectorOf(spec map[string]any) map[string]string {
	sel, _ := spec["selector"].(map[string]any)
	m, _ := sel["matchLabels"].(map[string]any)
	out := map[string]string{}
	for k, v := range m {
		if str, ok := v.(string); ok {
			out[k] = str
		}
	}
	return out
}

// openNetwork lets HBONE through where NetworkPolicies isolate pods that move or
// their waypoints (facts P-07, P-08, B-09).
func (s *stepper) openNetwork(st *step, ns string, services []*api.Decision) {
	waypoints := waypointsOf(services)
	for _, np := range s.st.NetworkPolicies() {
		if np.Namespace != ns || np.Labels()[translate.LabelManaged] == translate.ManagedBy || !s.selectsMoving(ns, np) {
			continue
		}
		ref := np.Ref()
		ref.Name = shortName(np.Name, "-hbone", 253)
		c, needed, err := translate.Opening(ns, ref.Name, np.Spec, waypoints)
		s.fail(err, ref.String())
		if err != nil || !needed {
			continue
		}
		ref.Name = s.free(ref)
		c["metadata"].(map[string]any)["name"] = ref.Name
		st.spaces[ns] = true
		st.create(c, fmt.Sprintf("beside %s: mesh traffic arrives on port 15008, so its peers are admitted there, and waypoints, and the address of kubelet probes", np.Ref()), "P-07", "P-08")
	}
	for _, w := range waypoints {
		for _, np := range s.st.NetworkPolicies() {
			if np.Namespace != w.Namespace || !translate.SelectsPod(np.Spec, translate.WaypointLabels(w.Name)) {
				continue
			}
			ref := api.Ref{Group: "networking.k8s.io", Kind: "NetworkPolicy", Namespace: w.Namespace, Name: shortName(w.Name, "-waypoint-hbone", 253)}
			if s.taken[ref] {
				break
			}
			c, err := translate.WaypointOpening(w, s.free(ref))
			s.fail(err, ref.String())
			if err == nil {
				st.create(c, fmt.Sprintf("%s isolates the waypoint's pods as well", np.Ref()), "P-07")
			}
			break
		}
	}
}

// waypointsOf lists the distinct waypoints of services, sorted.
func waypointsOf(services []*api.Decision) []api.WaypointRef {
	var out []api.WaypointRef
	for _, d := range services {
		if !slices.Contains(out, *d.Waypoint) {
			out = append(out, *d.Waypoint)
		}
	}
	slices.SortFunc(out, func(a, b api.WaypointRef) int {
		return api.Ref{Namespace: a.Namespace, Name: a.Name}.Compare(api.Ref{Namespace: b.Namespace, Name: b.Name})
	})
	return out
}

// selectsMoving tells whether a NetworkPolicy selects pods that move.
func (s *stepper) selectsMoving(ns string, np mesh.Typed[*netv1.NetworkPolicySpec]) bool {
	for _, w := range s.st.WorkloadsIn(ns) {
		if s.moving[w.Ref()] && translate.SelectsPod(np.Spec, w.PodLabels) {
			return true
		}
	}
	return false
}
