package planner

import (
	"fmt"
	"slices"
	"strconv"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// policyAt is an AuthorizationPolicy as it applies to pods of a service.
type policyAt = mesh.Typed[*security.AuthorizationPolicy]

// prepare adds what is inert for sidecars to a namespace.
func (s *stepper) prepare(st *step, ns string) {
	if s.prepared[ns] {
		return
	}
	s.prepared[ns] = true
	services := s.waypointServices(ns)
	if entries := s.waypointEntries(ns); len(entries) > 0 {
		st.spaces[ns] = true
		s.waypoints(st, entries)
	}
	if len(services) > 0 {
		st.spaces[ns] = true
		s.waypoints(st, services)
		s.copyPolicies(st, ns, services)
		s.copyAttached(st, ns, services)
		s.admitWaypoint(st, ns, services)
		s.exemptWaypoint(st, services)
		s.versionServices(st, ns)
	}
	if s.moves(ns) {
		s.openNetwork(st, ns, services)
		s.keepOutside(st, ns)
	}
}

// waypoints creates the Gateways that are not there yet.
func (s *stepper) waypoints(st *step, services []*api.Decision) {
	for _, d := range services {
		w := *d.Waypoint
		ref := api.Ref{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: w.Namespace, Name: w.Name}
		if s.gateways[ref] {
			continue
		}
		s.gateways[ref] = true
		if s.taken[ref] {
			st.findings = append(st.findings, api.Finding{
				ID: "existing-waypoint", Severity: api.Warning, Subject: ref,
				Message:  "this waypoint exists already and is used as it is",
				Effect:   "its replicas, autoscaler, disruption budget and allowedRoutes are not those that this plan would make",
				Action:   "see that it has at least two replicas and that its listener admits the namespaces that use it",
				Evidence: []api.Evidence{{Object: ref}},
			})
			continue
		}
		size := s.sizeOf(w, s.servedBy(w))
		s.made = append(s.made, madeWaypoint{namespace: w.Namespace, wave: s.number, size: size.policy})
		objs, err := translate.WaypointGateway(w, size.policy, w.Scope == "shared")
		s.fail(err, ref.String())
		for _, o := range objs {
			why := "the waypoint for " + servicesBehind(services, w)
			if o["kind"] == "ConfigMap" {
				why += "; " + size.why
			}
			st.create(o, why, size.facts...)
		}
		st.checks = append(st.checks, api.Check{When: "after", What: "waypoint " + w.Namespace + "/" + w.Name + " is programmed", Command: kubectl("wait", "--for=condition=Programmed", "gateway/"+w.Name, "-n", w.Namespace, "--timeout=300s"), Expect: "condition met; then two ready pods of Deployment " + w.Name, Ask: ask(api.AskProgrammed, gatewayRef(w))})
	}
}

// servedBy are the decisions for all Services and ServiceEntries of a waypoint, in
// whatever namespace.
func (s *stepper) servedBy(w api.WaypointRef) []*api.Decision {
	var out []*api.Decision
	for i := range s.ds {
		if d := &s.ds[i]; d.Waypoint != nil && *d.Waypoint == w {
			out = append(out, d)
		}
	}
	return out
}

// servicesBehind lists the Services of a waypoint in words.
func servicesBehind(services []*api.Decision, w api.WaypointRef) string {
	var names []string
	for _, d := range services {
		if *d.Waypoint == w {
			names = append(names, d.Service)
		}
	}
	return shortList(names, 5)
}

// shortList joins at most n names and counts the rest.
func shortList(names []string, n int) string {
	out := ""
	for i, name := range names {
		if i == n {
			return out + fmt.Sprintf(" and %d more", len(names)-n)
		}
		if i > 0 {
			out += ", "
		}
		out += name
	}
	return out
}

// applying lists the policies that apply to the pods of a service, with whether
// each applies to all of its workloads.
func (s *stepper) applying(d *api.Decision) (all, some []policyAt) {
	svc := s.st.Service(d.Namespace, d.Service)
	if svc == nil {
		return nil, nil
	}
	ws := s.st.WorkloadsOf(svc)
	count := map[api.Ref]int{}
	var list []policyAt
	for _, w := range ws {
		for _, p := range s.st.PoliciesFor(w) {
			if count[p.Ref()] == 0 {
				list = append(list, p)
			}
			count[p.Ref()]++
		}
	}
	for _, p := range list {
		if count[p.Ref()] == len(ws) {
			all = append(all, p)
		} else {
			some = append(some, p)
		}
	}
	return all, some
}

// copyPolicies attaches to the waypoint every AuthorizationPolicy that applies
// to the pods of its services. All of them, not only those with layer 7 rules:
// behind a waypoint the pods see only the waypoint's identity, so what they let
// in by client identity must be decided at the waypoint (facts L-13).
func (s *stepper) copyPolicies(st *step, ns string, services []*api.Decision) {
	type target struct {
		policy   policyAt
		services []string
		ports    map[string]translate.PortMap
	}
	byPolicy := map[api.Ref]*target{}
	var order []api.Ref
	for _, d := range services {
		all, some := s.applying(d)
		for _, p := range some {
			st.findings = append(st.findings, api.Finding{
				ID: "C-60", Severity: api.Blocker, Subject: d.Subject,
				Message:  fmt.Sprintf("%s applies to some pods behind the Service and not to others", p.Ref()),
				Evidence: []api.Evidence{{Object: p.Ref(), Path: "spec.selector", Source: p.Origin.At("spec.selector")}},
				Effect:   "a waypoint decides before it picks a pod, so it cannot tell them apart; no copy of this policy was made for the Service",
				Action:   "give the pods a Service of their own, or let the selector select all pods of the Service",
			})
		}
		for _, p := range all {
			t := byPolicy[p.Ref()]
			if t == nil {
				t = &target{policy: p, ports: map[string]translate.PortMap{}}
				byPolicy[p.Ref()] = t
				order = append(order, p.Ref())
			}
			t.services = append(t.services, d.Service)
		}
	}
	slices.SortFunc(order, api.Ref.Compare)
	for _, ref := range order {
		t := byPolicy[ref]
		slices.Sort(t.services)
		s.copyPolicy(st, ns, t.policy, t.services)
	}
}

// copyPolicy makes the copies of one policy for services of one namespace: one
// for each set of ports that has to be translated in its own way, and at most 16
// services in each.
func (s *stepper) copyPolicy(st *step, ns string, p policyAt, services []string) {
	name := p.Name
	if p.Namespace != ns {
		name = p.Namespace + "-" + name
	}
	why := fmt.Sprintf("%s as the waypoint enforces it; inert for sidecars and for ztunnel", p.Ref())
	make1 := func(list []string, ports translate.PortMap) {
		ref := p.Ref()
		ref.Namespace, ref.Name = ns, shortName(name, "-waypoint", 253)
		c := translate.Attach(p.Object, ns, s.free(ref), list)
		translate.QualifyServiceAccounts(c, p.Namespace)
		if ports != nil && !translate.TranslatePorts(c, ports) {
			return
		}
		st.create(c, why, "C-60", "L-13", "O-34")
	}
	if !translate.PolicyPorts(p.Content) {
		for chunk := range slices.Chunk(services, translate.MaxTargetRefs) {
			make1(chunk, nil)
		}
		return
	}
	for _, name := range services {
		svc := s.st.Service(ns, name)
		ports, unresolved := portMap(svc, s.st.WorkloadsOf(svc))
		if len(unresolved) > 0 {
			st.findings = append(st.findings, api.Finding{
				ID: "L-11", Severity: api.Blocker, Subject: svc.Ref(),
				Message:  fmt.Sprintf("%s names pod ports, and target port %s of the Service is a name that no container declares", p.Ref(), shortList(unresolved, 3)),
				Evidence: []api.Evidence{{Object: svc.Ref(), Path: "spec.ports", Source: svc.Origin.At("spec.ports")}},
				Effect:   "at a waypoint ports mean the Service's ports, and the policy cannot be translated; the copy leaves this port out",
				Action:   "declare the container port by that name, or write a number into targetPort",
			})
		}
		make1([]string{name}, ports)
	}
}

// portMap maps the pod ports behind a service to its own ports. Names of target
// ports that no container declares are returned apart.
func portMap(svc *api.Service, ws []*api.Workload) (m translate.PortMap, unresolved []string) {
	m = translate.PortMap{}
	for _, p := range svc.Ports {
		own := strconv.Itoa(int(p.Port))
		if p.TargetPort == "" {
			m[own] = append(m[own], own)
			continue
		}
		if _, err := strconv.Atoi(p.TargetPort); err == nil {
			m[p.TargetPort] = append(m[p.TargetPort], own)
			continue
		}
		found := false
		for _, w := range ws {
			for _, cp := range w.Ports {
				if cp.Name == p.TargetPort {
					k := strconv.Itoa(int(cp.Port))
					if !slices.Contains(m[k], own) {
						m[k] = append(m[k], own)
					}
					found = true
				}
			}
		}
		if !found {
			unresolved = append(unresolved, p.TargetPort)
		}
	}
	return m, unresolved
}

// admitWaypoint lets the waypoint's identity in wherever an ALLOW policy applies
// (facts O-32). Where none applies it must not: alone it would deny all others.
func (s *stepper) admitWaypoint(st *step, ns string, services []*api.Decision) {
	admitted := map[string]bool{}
	for _, d := range services {
		all, some := s.applying(d)
		if !slices.ContainsFunc(append(all, some...), func(p policyAt) bool { return translate.Action(p.Content) == "ALLOW" }) {
			continue
		}
		svc := s.st.Service(ns, d.Service)
		// Services with one selector have the same pods: one policy admits for all.
		// Maps print with sorted keys.
		same := fmt.Sprint(svc.Selector, *d.Waypoint)
		if admitted[same] {
			continue
		}
		admitted[same] = true
		ref := api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: ns, Name: shortName(d.Service, "-from-waypoint", 253)}
		c, err := translate.AdmitWaypoint(ns, s.free(ref), svc.Selector, translate.Principal(s.st.TrustDomain(), *d.Waypoint))
		s.fail(err, ref.String())
		if err == nil {
			st.create(c, "pods behind "+d.Service+" will see the waypoint's identity instead of the client's, and an ALLOW policy applies to them", "O-32", "L-13")
		}
	}
}

// exemptWaypoint keeps DENY policies from catching the waypoint's own
// connections (facts L-07, L-08, L-13a).
func (s *stepper) exemptWaypoint(st *step, services []*api.Decision) {
	for _, d := range services {
		all, some := s.applying(d)
		principal := translate.Principal(s.st.TrustDomain(), *d.Waypoint)
		for _, p := range append(all, some...) {
			if translate.Action(p.Content) != "DENY" {
				continue
			}
			st.patch(p.Object, func(c api.Content) bool { return translate.ExemptWaypoint(c, principal) },
				"connections from the waypoint must not be denied for what the rule says of clients; the copy at the waypoint judges the clients", "L-13a", "L-08")
		}
	}
}

// keepOutside marks the workloads that run without a sidecar on purpose, because
// labelling the namespace would enrol them live (facts E-22, E-23).
func (s *stepper) keepOutside(st *step, ns string) {
	for _, w := range s.st.WorkloadsIn(ns) {
		if s.st.Mode(w) != mesh.ModeNone || w.HostNetwork || w.PodLabels[mesh.LabelDataplaneMode] == "none" {
			continue
		}
		st.spaces[ns] = true
		why := "it runs without a sidecar, and the namespace label would enrol it; setting the label on the pod template restarts it"
		s.podLabel(st, w, mesh.LabelDataplaneMode, "none", why, "E-23")
		if n := s.st.Namespace(ns); n != nil && mesh.Injected(n, w) {
			// Its pods are older than the injection label: the restart would give
			// them a sidecar.
			s.podLabel(st, w, mesh.LabelInject, "false", "its pods were made before injection was on, and the restart would give them a sidecar", "E-23", "R-08")
		}
	}
}

// podLabel sets a label on the pod template of a workload, or asks a person to.
func (s *stepper) podLabel(st *step, w *api.Workload, key, value, why string, rules ...string) {
	path := templatePath(w)
	if path == nil {
		st.byHand(w.Ref(), w.Owner, fmt.Sprintf("%s cannot be restarted by a template change: recreate its pods with label %s=%s. %s", w.Ref(), key, value, why), rules...)
		return
	}
	var fields []field
	for _, k := range []string{mesh.LabelInject, mesh.LabelDataplaneMode} {
		v, ok := w.PodLabels[k]
		fields = append(fields, field{path: append(slices.Clone(path), k), old: v, exists: ok})
	}
	st.fragment(w.Ref(), w.APIVersion, w.Owner, fields, append(slices.Clone(path), key), value, why, rules...)
}

// templatePath is where the labels of a workload's pods stand; nil for a kind
// whose pods do not follow a template that can be changed.
func templatePath(w *api.Workload) []string {
	switch w.Kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Rollout":
		return []string{"spec", "template", "metadata", "labels"}
	case "CronJob":
		return []string{"spec", "jobTemplate", "spec", "template", "metadata", "labels"}
	}
	return nil
}
