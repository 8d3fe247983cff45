package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// batch is a set of workloads that restart in one step, with the services whose
// bypass must be closed before.
type batch struct {
	workloads []*api.Workload
	guard     []*api.Decision
}

// cutovers makes the steps in which sidecars go. Namespaces of one wave that
// depend on each other follow one another; the others go side by side.
func (s *stepper) cutovers(slot Slot) []*step {
	var out []*step
	next := func(what string) *step {
		name := stepCutover
		if len(out) > 0 {
			name = fmt.Sprintf("%s-%d", stepCutover, len(out)+1)
		}
		st := s.tree.step(name, what)
		out = append(out, st)
		return st
	}
	for _, level := range s.levels(slot.Namespaces) {
		batches := map[string][]batch{}
		most := 0
		for _, ns := range level {
			batches[ns] = s.batches(ns)
			most = max(most, len(batches[ns]))
		}
		for i := range most {
			guard := s.tree.step("", "")
			restart := s.tree.step("", "")
			for _, ns := range level {
				if i >= len(batches[ns]) {
					continue
				}
				b := batches[ns][i]
				for _, d := range b.guard {
					s.guard(guard, d)
				}
				for _, w := range b.workloads {
					s.restart(restart, w)
				}
				if i == len(batches[ns])-1 {
					s.stopInjection(restart, ns)
				}
			}
			if !guard.empty() {
				st := next("Close the way past the waypoint before the pods behind it lose their sidecars: what ztunnel cannot enforce must not be reachable directly.")
				guard.name, guard.what = st.name, st.what
				*st = *guard
			}
			if !restart.empty() {
				st := next("Restart these workloads without sidecars; ztunnel captures the new pods. Workloads of later batches keep their sidecars even if a pod is recreated in between.")
				restart.name, restart.what = st.name, st.what
				*st = *restart
			}
		}
	}
	return out
}

// levels groups the namespaces of a wave so that a caller's group comes before
// its server's. Namespaces that call each other in a circle share a group: the
// schedule has named the circle.
func (s *stepper) levels(namespaces []string) [][]string {
	in := map[string]bool{}
	for _, ns := range namespaces {
		in[ns] = true
	}
	calls := map[string][]string{}
	for _, e := range s.edges {
		if e.From.Namespace != e.To.Namespace && in[e.From.Namespace] && in[e.To.Namespace] {
			calls[e.From.Namespace] = append(calls[e.From.Namespace], e.To.Namespace)
		}
	}
	circles := components(slices.Sorted(maps.Keys(in)), calls)
	at := map[string]int{}
	for i, c := range circles {
		for _, ns := range c {
			at[ns] = i
		}
	}
	level := make([]int, len(circles))
	// As many rounds as there are circles settle every chain.
	for range circles {
		for caller, servers := range calls {
			for _, srv := range servers {
				if at[caller] != at[srv] {
					level[at[srv]] = max(level[at[srv]], level[at[caller]]+1)
				}
			}
		}
	}
	out := make([][]string, slices.Max(append(level, 0))+1)
	for i, c := range circles {
		out[level[i]] = append(out[level[i]], c...)
	}
	for i := range out {
		slices.Sort(out[i])
	}
	return slices.DeleteFunc(out, func(l []string) bool { return len(l) == 0 })
}

// batches splits the workloads of a namespace, clients before servers. A server
// whose rules need layer 7 never restarts in the same batch as one of its known
// callers: once its pods are ambient, a caller that still has a sidecar goes past
// the waypoint (facts M-12). One whose callers nobody named shares it with nobody.
func (s *stepper) batches(ns string) []batch {
	limit := cmp.Or(s.policy.Capacity.RestartBatch, defaultRestartBatch)
	byRef := map[api.Ref]*api.Workload{}
	for _, w := range s.st.WorkloadsIn(ns) {
		byRef[w.Ref()] = w
	}
	var out []batch
	var cur batch
	for _, ref := range s.order.of(ns) {
		w := byRef[ref]
		if w == nil || !s.moving[ref] {
			continue
		}
		strict, guards := s.strict(w)
		together := slices.ContainsFunc(cur.workloads, func(c *api.Workload) bool {
			return slices.ContainsFunc(strict, func(d *api.Decision) bool { return s.callers[d.Subject][c.Ref()] })
		}) || len(cur.workloads) > 0 && (s.order.open[ref] || s.order.open[cur.workloads[len(cur.workloads)-1].Ref()])
		if len(cur.workloads) >= limit || together || (len(guards) > 0 && len(cur.workloads) > 0 && len(cur.guard) == 0) {
			out = append(out, cur)
			cur = batch{}
		}
		cur.workloads = append(cur.workloads, w)
		for _, g := range guards {
			if !slices.Contains(cur.guard, g) {
				cur.guard = append(cur.guard, g)
			}
		}
	}
	if len(cur.workloads) > 0 {
		out = append(out, cur)
	}
	return out
}

// callersByService indexes the workloads that may call a service. An edge may
// name a service account or a namespace: it stands for all workloads of it.
func callersByService(st *mesh.State, edges []api.Edge) map[api.Ref]map[api.Ref]bool {
	stands := map[api.Ref][]*api.Workload{}
	out := map[api.Ref]map[api.Ref]bool{}
	for _, e := range edges {
		ws, ok := stands[e.From]
		if !ok {
			ws = callersOf(st, e.From)
			stands[e.From] = ws
		}
		if out[e.To] == nil {
			out[e.To] = map[api.Ref]bool{}
		}
		for _, w := range ws {
			out[e.To][w.Ref()] = true
		}
	}
	return out
}

// strict lists the services of a workload whose rules a waypoint enforces, and
// those of them whose rules do nothing at ztunnel, so that their bypass must be
// closed by a policy of its own: DENY, CUSTOM and RequestAuthentication. An ALLOW
// with layer 7 rules closes it by itself (facts L-05, L-08, O-36, O-37).
func (s *stepper) strict(w *api.Workload) (strict, guard []*api.Decision) {
	for _, svc := range s.st.ServicesOf(w) {
		for _, d := range s.byNS[w.Namespace] {
			if d.Service != svc.Name || d.Kind != api.Waypoint {
				continue
			}
			if authorizes(d.Needs) {
				strict = append(strict, d)
			}
			if s.needsGuard(d) {
				guard = append(guard, d)
			}
		}
	}
	return strict, guard
}

// authorizes tells whether a need decides who may do what.
func authorizes(needs []api.Need) bool {
	return slices.ContainsFunc(needs, func(n api.Need) bool {
		switch n.Capability {
		case api.CapL7Authorization, api.CapExternalAuthorization, api.CapRequestAuthentication, api.CapAuditPolicy, api.CapWasm, api.CapExtension:
			return true
		}
		return false
	})
}

// needsGuard tells whether something that a waypoint enforces for the service is
// a no-op at ztunnel.
func (s *stepper) needsGuard(d *api.Decision) bool {
	for _, n := range d.Needs {
		if n.Rule == ElsewhereRule {
			continue // there is nothing here that could be a no-op
		}
		switch n.Capability {
		case api.CapExternalAuthorization, api.CapRequestAuthentication, api.CapWasm, api.CapExtension:
			return true
		}
	}
	all, some := s.applying(d)
	return slices.ContainsFunc(append(all, some...), func(p policyAt) bool {
		return translate.Action(p.Content) == "DENY" && translate.L7Policy(p.Content)
	})
}

// guard denies everybody but the waypoint on the pods of a service.
func (s *stepper) guard(st *step, d *api.Decision) {
	svc := s.st.Service(d.Namespace, d.Service)
	ref := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: d.Namespace, Name: shortName(d.Service, "-only-waypoint", 253)}
	if svc == nil || s.taken[ref] {
		return
	}
	c, err := translate.DenyBypass(d.Namespace, s.free(ref), svc.Selector, translate.Principal(s.st.TrustDomain(), *d.Waypoint))
	s.fail(err, ref.String())
	if err != nil {
		return
	}
	st.spaces[d.Namespace] = true
	st.create(c, "what the waypoint enforces for "+d.Service+" does nothing at ztunnel, so nobody may reach the pods past the waypoint", "O-31", "O-37", "L-08")
	st.findings = append(st.findings, api.Finding{
		ID: "O-31", Severity: api.Warning, Subject: d.Subject,
		Message:  "from this wave's cutover on, only the waypoint may connect to the pods behind this Service",
		Evidence: []api.Evidence{{Object: svc.Ref(), Source: svc.Origin.At("")}},
		Effect:   "callers by pod IP or by a headless name, callers outside the mesh and metric scrapers that connect directly are refused",
		Action:   "find these callers before the step (access logs, istio_tcp_connections_opened_total) and give them a way through the Service, or add them to the policy by hand",
	})
	st.checks = append(st.checks,
		api.Check{When: "before", What: "every mesh caller of " + d.Service + " is ambient, and the ingress gateways pass its waypoint", Command: kubectl("get", "pods", "-A", "-l", "security.istio.io/tlsMode=istio"), Expect: "no pod in this list calls " + d.Service},
	)
}

// restart lets the new pods of a workload come up without a sidecar. The label
// on the pod template makes the injector skip exactly this workload, so the
// order of batches holds even when a node is drained between them.
func (s *stepper) restart(st *step, w *api.Workload) {
	st.spaces[w.Namespace] = true
	s.podLabel(st, w, mesh.LabelInject, "false", "the pods restart without a sidecar", "E-01", "E-21", "R-08")
	if w.Kind == "CronJob" {
		st.checks = append(st.checks, api.Check{When: "after", What: "running Jobs of CronJob " + w.Name + " keep their sidecar until they end", Command: kubectl("get", "jobs", "-n", w.Namespace), Expect: "the next Job has no istio-proxy"})
		return
	}
	if templatePath(w) != nil {
		kind := map[string]string{"Deployment": "deployment", "StatefulSet": "statefulset", "DaemonSet": "daemonset", "Rollout": "rollout.argoproj.io"}[w.Kind]
		cmd := kubectl("rollout", "status", kind+"/"+w.Name, "-n", w.Namespace, "--timeout=600s")
		if w.Kind == "Rollout" {
			cmd = kubectl("get", kind, w.Name, "-n", w.Namespace)
		}
		st.checks = append(st.checks, api.Check{When: "after", What: fmt.Sprintf("%s %s is rolled out; its pods have no sidecar.istio.io/status and carry ambient.istio.io/redirection=enabled", w.Kind, w.Name), Command: cmd, Expect: "successfully rolled out", Ask: ask(api.AskRolledOut, w.Ref())})
	}
}

// stopInjection turns injection of the namespace off, with its last batch. A
// namespace in which something keeps its sidecar goes on injecting.
func (s *stepper) stopInjection(st *step, ns string) {
	n := s.st.Namespace(ns)
	if n == nil || s.stays(ns) || (n.Labels[mesh.LabelInjection] != "enabled" && n.Labels[mesh.LabelRevision] == "") {
		return
	}
	st.spaces[ns] = true
	st.fragment(n.Ref(), "v1", n.Owner, namespaceFields(n), labelPath(mesh.LabelInjection), "disabled", "new workloads of the namespace get no sidecar; `disabled` also stops istio.io/rev", "E-01")
}
