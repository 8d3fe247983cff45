package planner

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// conversions are the VirtualServices that a plan turns into routes of the Gateway
// API, by the namespace in which it does so.
type conversions struct {
	hosts map[string][]*convert.HostResult
	rest  map[string][]*convert.VirtualServiceResult
	// findings are about VirtualServices that waypoints go on to serve.
	findings []api.Finding
}

// conversionsOf picks, of all that can be converted exactly, the hosts whose waypoint
// the plan makes. A VirtualService is converted for all such hosts or for none.
func (s *stepper) conversionsOf() conversions {
	out := conversions{hosts: map[string][]*convert.HostResult{}, rest: map[string][]*convert.VirtualServiceResult{}}
	if !s.anyWaypoint() {
		return out
	}
	all := convert.All(s.st, convert.ClusterOf(s.st))
	hosts, byVS := map[string]*convert.HostResult{}, map[api.Ref]*convert.VirtualServiceResult{}
	for i := range all.VirtualServices {
		byVS[all.VirtualServices[i].Object] = &all.VirtualServices[i]
	}
	for i := range all.Hosts {
		if h := &all.Hosts[i]; h.Class == convert.Converted && s.policy.Routes != api.RoutesKeep && s.converts(h) {
			hosts[h.Host] = h
		}
	}
	// A VirtualService one of whose hosts stays back keeps the others back.
	for again := true; again; {
		again = false
		for _, name := range slices.Sorted(maps.Keys(hosts)) {
			for _, ref := range hosts[name].VirtualServices {
				v := byVS[ref]
				if v == nil || slices.ContainsFunc(v.Hosts, func(h string) bool { return hosts[h] == nil }) {
					delete(hosts, name)
					again = true
					break
				}
			}
		}
	}
	done := map[api.Ref]bool{}
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		h := hosts[name]
		ns := h.Service.Namespace
		out.hosts[ns] = append(out.hosts[ns], h)
		for _, ref := range h.VirtualServices {
			if !done[ref] {
				done[ref] = true
				out.rest[ns] = append(out.rest[ns], byVS[ref])
			}
		}
	}
	for i := range all.VirtualServices {
		if v := &all.VirtualServices[i]; !done[v.Object] {
			out.findings = append(out.findings, s.keptRoutes(v)...)
		}
	}
	return out
}

// keptRoutes says why a VirtualService that a waypoint of the plan serves stays one.
func (s *stepper) keptRoutes(v *convert.VirtualServiceResult) []api.Finding {
	host, served := s.servedHost(append(slices.Clone(v.Hosts), v.Others...))
	if !served {
		return nil
	}
	f := api.Finding{
		ID: "virtualservice-kept", Severity: api.Warning, Subject: v.Object,
		Message: fmt.Sprintf("%s stays a VirtualService and is served by the waypoint, which Istio calls Alpha", v.Object),
		Effect:  "Istio may change how a waypoint serves a VirtualService",
		Action:  "test the routes through the waypoint before the callers move",
	}
	for _, r := range v.Why {
		f.Evidence = append(f.Evidence, api.Evidence{Object: r.Object, Path: r.Path, Value: r.Text + bracketed(r.Fact)})
		if r.Remedy != "" {
			f.Action = r.Remedy + "; until then " + f.Action
		}
		if len(f.Evidence) == maxEvidence {
			break
		}
	}
	switch {
	case len(v.Why) > 0:
		f.Message += ": " + v.Why[0].Text
	case s.policy.Routes == api.RoutesKeep:
		f.Message += ": the MigrationPolicy keeps routes as they are"
	default:
		f.Message += fmt.Sprintf(": %s is not converted, because not all that routes its calls moves with it", host)
	}
	if len(f.Evidence) == 0 {
		f.Evidence = []api.Evidence{{Object: v.Object, Path: "spec.hosts"}}
	}
	return []api.Finding{f}
}

func bracketed(fact string) string {
	if fact == "" {
		return ""
	}
	return " (" + fact + ")"
}

// servedHost is the first of some hosts that a waypoint of the plan serves.
func (s *stepper) servedHost(hosts []string) (string, bool) {
	for _, h := range hosts {
		svc, _ := s.st.ServiceByHost(h, "")
		if svc == nil || !s.moves(svc.Namespace) {
			continue
		}
		if slices.ContainsFunc(s.waypointServices(svc.Namespace), func(d *api.Decision) bool { return d.Subject == svc.Ref() }) {
			return h, true
		}
	}
	return "", false
}

// anyWaypoint tells whether the plan makes any waypoint.
func (s *stepper) anyWaypoint() bool {
	for ns := range s.byNS {
		if len(s.waypointServices(ns)) > 0 {
			return true
		}
	}
	return false
}

// converts tells whether the routes of a host can take over: its Service moves with
// a waypoint, and everything is in its namespace, where a waypoint looks for it.
func (s *stepper) converts(h *convert.HostResult) bool {
	ns := h.Service.Namespace
	if h.Service.Kind != "Service" || !s.moves(ns) {
		return false
	}
	if slices.ContainsFunc(h.VirtualServices, func(r api.Ref) bool { return r.Namespace != ns }) {
		return false
	}
	return slices.ContainsFunc(s.waypointServices(ns), func(d *api.Decision) bool { return d.Subject == h.Service })
}

// versionServices creates what converted routes lead to. It is inert until they do.
func (s *stepper) versionServices(st *step, ns string) {
	for _, h := range s.conversions.hosts[ns] {
		for _, c := range h.Objects {
			ref := refOf(c)
			if !inert(ref) || s.tree.now[ref] != nil {
				continue
			}
			c := translate.Clone(c)
			if ref.Kind == "Service" {
				// Its own waypoint would not hold to the rules that are attached to the Service
				// that people call.
				translate.SetLabel(c, mesh.LabelUseWaypoint, "none")
			}
			st.spaces[ns] = true
			st.create(c, fmt.Sprintf("stands for a subset of %s, which routes of the Gateway API cannot name", h.Service), "C-50", "C-51")
		}
	}
}

// inert tells whether an object of a conversion does nothing until a route leads to it.
func inert(ref api.Ref) bool { return ref.Kind == "Service" || ref.Kind == "DestinationRule" }

// route adds the routes that stand for VirtualServices. The VirtualServices stay
// beside them until finalize: both mean the same, so neither order of the changes and
// no way back leaves a moment without routes (facts C-01, C-02).
func (s *stepper) route(st *step, ns string) {
	for _, h := range s.conversions.hosts[ns] {
		var from []string
		for _, r := range h.VirtualServices {
			from = append(from, r.Namespace+"/"+r.Name)
		}
		for _, c := range h.Objects {
			if inert(refOf(c)) {
				continue
			}
			c := translate.Clone(c)
			translate.SetAnnotation(c, translate.AnnotationCopyOf, strings.Join(from, ","))
			st.spaces[ns] = true
			st.create(c, "says what "+shortList(refTexts(h.VirtualServices), 3)+" says", "C-01", "C-02")
			ref := refOf(c)
			st.checks = append(st.checks, api.Check{
				When: "after", What: fmt.Sprintf("%s is accepted, and the waypoint follows it", ref),
				Command: kubectl("get", strings.ToLower(ref.Kind), ref.Name, "-n", ns, "-o", "yaml"),
				Expect:  "in status.parents the conditions Accepted, ResolvedRefs and ResolvedWaypoints are True",
				Ask:     ask(api.AskRoute, ref),
			})
		}
	}
}

func refTexts(refs []api.Ref) []string {
	out := make([]string, len(refs))
	for i, r := range refs {
		out[i] = r.String()
	}
	return out
}

// unroute removes the VirtualServices that routes stand for, or what of them is for
// the mesh.
func (s *stepper) unroute(st *step, ns string) {
	for _, v := range s.conversions.rest[ns] {
		o := s.objectOf(v.Object)
		if o == nil {
			continue
		}
		st.spaces[ns] = true
		if v.Rest == nil {
			st.remove(o, "routes of the Gateway API say the same", "C-01", "C-02")
			continue
		}
		st.patch(o, func(c api.Content) bool { c["spec"] = translate.Clone(v.Rest)["spec"]; return true },
			"routes of the Gateway API say what it said for the mesh", "C-12")
	}
}

// objectOf finds a VirtualService of the inventory.
func (s *stepper) objectOf(ref api.Ref) *api.Object {
	for _, o := range s.st.Objects(mesh.KindVirtualService) {
		if o.Ref() == ref {
			return o
		}
	}
	return nil
}
