package planner

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// finalize removes what nothing reads any more in a namespace that has moved.
func (s *stepper) finalize(st *step, ns string) {
	if len(s.waypointServices(ns)) == 0 {
		return
	}
	s.unroute(st, ns)
	policies := false
	for _, p := range s.st.AuthorizationPolicies() {
		if p.Namespace != ns || mesh.HasTargetRef(p.Spec) || !translate.L7Policy(p.Content) || !s.allBehindWaypoint(ns, p.Spec.GetSelector().GetMatchLabels()) {
			continue
		}
		st.spaces[ns], policies = true, true
		s.finalizePolicy(st, p)
	}
	for _, k := range []mesh.Kind{mesh.KindRequestAuthentication, mesh.KindWasmPlugin, mesh.KindTrafficExtension} {
		for _, o := range s.st.Objects(k) {
			spec := translate.Spec(o.Content)
			if o.Namespace != ns || spec["targetRefs"] != nil || spec["targetRef"] != nil || !s.allBehindWaypoint(ns, selectorOf(spec)) {
				continue
			}
			st.spaces[ns], policies = true, true
			st.remove(o, "no sidecar reads it any more; its copy is attached to the waypoint", "C-70", "L-24")
		}
	}
	if st.spaces[ns] {
		st.checks = append(st.checks, api.Check{When: "before", What: "the soak time of " + ns + " is over and no sidecar is left in it", Command: kubectl("get", "pods", "-n", ns, "-l", "security.istio.io/tlsMode=istio"), Expect: "No resources found", Ask: ask(api.AskNoSidecars, api.Ref{Kind: "Namespace", Name: ns})})
	}
	if policies {
		st.checks = append(st.checks, api.Check{When: "after", What: "a request that each policy of " + ns + " allows passes, and one that it denies is refused with 403", Expect: "as before the migration"})
	}
	if len(s.conversions.rest[ns]) > 0 {
		st.checks = append(st.checks, api.Check{When: "after", What: "a request for each rule of the routes of " + ns + " is answered by the version that the rule names", Expect: "as before the migration"})
	}
	s.restoreToken(st, ns)
}

// finalizePolicy keeps the layer 4 rules of a policy, which ztunnel enforces,
// and drops the rest, which only the copy at the waypoint does.
func (s *stepper) finalizePolicy(st *step, p policyAt) {
	action := translate.Action(p.Content)
	left := 0
	if action == "ALLOW" || action == "DENY" {
		left = translate.KeepL4Rules(translate.Clone(p.Content))
	}
	if left == 0 {
		st.remove(p.Object, fmt.Sprintf("its %s rules need layer 7 and are enforced by the copy at the waypoint; ztunnel makes nothing of them", action), "L-05", "L-08", "O-36")
		return
	}
	st.patch(p.Object, func(c api.Content) bool { translate.KeepL4Rules(c); return true },
		fmt.Sprintf("only %s that ztunnel enforces stays here; the others are enforced by the copy at the waypoint", counted(left, "rule")), "C-61", "O-35")
}

// allBehindWaypoint tells whether every workload in the mesh that a selector
// selects in the namespace has moved and is behind services with a waypoint.
func (s *stepper) allBehindWaypoint(ns string, selector map[string]string) bool {
	found := false
	for _, w := range s.st.WorkloadsIn(ns) {
		if !mesh.Selects(selector, w.PodLabels) || !s.st.InMesh(w) {
			continue
		}
		if !s.moving[w.Ref()] || !s.hasWaypoint(w) {
			return false
		}
		found = true
	}
	return found
}

func (s *stepper) hasWaypoint(w *api.Workload) bool {
	for _, svc := range s.st.ServicesOf(w) {
		for _, d := range s.byNS[w.Namespace] {
			if d.Service == svc.Name && d.Kind == api.Waypoint {
				return true
			}
		}
	}
	return false
}

// restoreToken gives the copies of RequestAuthentications back what the original
// said about passing the token on: no sidecar checks it again now (facts L-25).
func (s *stepper) restoreToken(st *step, ns string) {
	for _, ref := range s.copies(ns) {
		c := translate.Clone(s.tree.now[ref])
		orig := s.original(c)
		if orig == nil || orig.Namespace == "" {
			continue
		}
		if from := translate.Spec(orig.Content)["jwtRules"]; from != nil {
			translate.Spec(c)["jwtRules"] = translate.Clone(api.Content{"v": from})["v"]
		}
		if fmt.Sprint(c) == fmt.Sprint(map[string]any(s.tree.now[ref])) {
			continue
		}
		st.spaces[ns] = true
		st.record(ref, api.OpPatch, c, "no sidecar behind the waypoint checks the token again, so it is passed on only if it was before", []string{"L-25"}, nil)
	}
}

// copies lists the RequestAuthentications that the plan made in a namespace, sorted.
func (s *stepper) copies(ns string) []api.Ref {
	var out []api.Ref
	for ref := range s.tree.now {
		if ref.Kind == "RequestAuthentication" && ref.Namespace == ns {
			if _, theirs := s.tree.base[ref]; !theirs {
				out = append(out, ref)
			}
		}
	}
	sortRefs(out)
	return out
}

// original finds the object that a copy was made of.
func (s *stepper) original(c api.Content) *api.Object {
	meta, _ := c["metadata"].(map[string]any)
	ann, _ := meta["annotations"].(map[string]any)
	name, _ := ann[translate.AnnotationCopyOf].(string)
	for _, o := range s.st.Objects(mesh.KindRequestAuthentication) {
		if o.Namespace+"/"+o.Name == name {
			return o
		}
	}
	return nil
}
