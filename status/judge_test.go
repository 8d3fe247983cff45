package status

import (
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

var (
	gatewayRef = api.Ref{Group: "gateway.networking.k8s.io", Kind: "Gateway", Namespace: "shop", Name: "waypoint"}
	serviceRef = api.Ref{Kind: "Service", Namespace: "shop", Name: "web"}
	routeRef   = api.Ref{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute", Namespace: "shop", Name: "web"}
	policyRef  = api.Ref{Group: "security.istio.io", Kind: "AuthorizationPolicy", Namespace: "shop", Name: "web-waypoint"}
	webRef     = api.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web"}
	wpRef      = api.Ref{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "waypoint"}
	ztunnelRef = api.Ref{Group: "apps", Kind: "DaemonSet", Namespace: "istio-system", Name: "ztunnel"}
	cniRef     = api.Ref{Group: "apps", Kind: "DaemonSet", Namespace: "istio-system", Name: "istio-cni-node"}
)

// object reads the content of an object.
func object(t *testing.T, text string) api.Content {
	t.Helper()
	var c api.Content
	if err := yaml.Unmarshal([]byte(text), (*map[string]any)(&c)); err != nil {
		t.Fatal(err)
	}
	return c
}

// mesh is a cluster in which everything that may be asked for holds.
func mesh(t *testing.T) Input {
	t.Helper()
	const daemon = "{metadata: {generation: 1}, status: {observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 2}}"
	in := Input{
		Plan: &api.MigrationPlan{}, Was: &api.Inventory{}, Now: &api.Inventory{
			Clusters: []api.Cluster{{
				Istiods:    []api.ControlPlane{{Flags: map[string]string{"PILOT_ENABLE_AMBIENT": "true"}}},
				Components: []api.Component{{Name: "ztunnel", Ref: ztunnelRef}, {Name: "istio-cni-node", Ref: cniRef}},
			}},
			Workloads: []api.Workload{{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "web", Containers: []string{"web"}, Pods: api.PodCounts{Observed: true, Total: 2, Ambient: 2}}},
		},
		Objects: map[api.Ref]api.Content{
			gatewayRef: object(t, "{metadata: {generation: 1}, status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}, {type: Programmed, status: 'True', observedGeneration: 1}]}}"),
			wpRef:      object(t, "{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 2}}"),
			serviceRef: object(t, "{status: {conditions: [{type: istio.io/WaypointBound, status: 'True', reason: WaypointAccepted}]}}"),
			policyRef:  object(t, "{metadata: {labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: web}]}, status: {conditions: [{type: WaypointAccepted, status: 'True', reason: Accepted}]}}"),
			routeRef:   object(t, "{metadata: {generation: 1}, spec: {parentRefs: [{name: web}]}, status: {parents: [{conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'True'}, {type: ResolvedWaypoints, status: 'True'}]}]}}"),
			webRef:     object(t, "{metadata: {generation: 3}, spec: {replicas: 2}, status: {observedGeneration: 3, replicas: 2, updatedReplicas: 2, readyReplicas: 2}}"),
			ztunnelRef: object(t, daemon),
			cniRef:     object(t, daemon),
		},
	}
	for _, k := range api.Kinds() {
		in.Now.Coverage = append(in.Now.Coverage, api.KindCoverage{Group: k.Group, Kind: k.Kind, State: api.Complete})
	}
	// The step of the plan that cuts web over.
	in.Plan.Waves = []api.Wave{{Number: 1, Steps: []api.Step{{Name: "cutover", Checks: []api.Check{{When: "after", Ask: &api.Ask{Kind: api.AskRolledOut, Object: webRef}}}}}}}
	return in
}

// hide makes a kind one that may not be listed.
func hide(in *Input, kind string) {
	for i := range in.Now.Coverage {
		if in.Now.Coverage[i].Kind == kind {
			in.Now.Coverage[i].State, in.Now.Coverage[i].Reason = api.Forbidden, "not allowed"
		}
	}
	for ref := range in.Objects {
		if ref.Kind == kind {
			delete(in.Objects, ref)
		}
	}
}

// TestAnswers asks every question of a mesh in which it holds, and of meshes in which one
// thing is otherwise.
func TestAnswers(t *testing.T) {
	set := func(ref api.Ref, text string) func(*Input) {
		return func(in *Input) { in.Objects[ref] = object(t, text) }
	}
	pods := func(p api.PodCounts) func(*Input) {
		return func(in *Input) { in.Now.Workloads[0].Pods = p }
	}
	for _, tc := range []struct {
		name string
		ask  api.Ask
		edit func(*Input)
		want api.CheckResult
		seen string
	}{
		{"waypoint", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, nil, api.CheckOK, "2 pods ready"},
		{"waypoint is not there", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, func(in *Input) { delete(in.Objects, gatewayRef) }, api.CheckNot, "is not there"},
		{"waypoint without an answer", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, set(gatewayRef, "{metadata: {generation: 1}}"), api.CheckNot, "no condition Accepted yet"},
		{"waypoint not programmed", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, set(gatewayRef, "{status: {conditions: [{type: Accepted, status: 'True'}, {type: Programmed, status: 'False', reason: AddressNotUsable, message: none}]}}"), api.CheckNot, "Programmed is False, reason AddressNotUsable"},
		{"answer to an older waypoint", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, set(gatewayRef, "{metadata: {generation: 2}, status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}, {type: Programmed, status: 'True', observedGeneration: 1}]}}"), api.CheckNot, "is of generation 1"},
		{"one pod of the waypoint", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, set(wpRef, "{status: {readyReplicas: 1}}"), api.CheckNot, "1 pods of its Deployment"},
		{"waypoints may not be read", api.Ask{Kind: api.AskProgrammed, Object: gatewayRef}, func(in *Input) { hide(in, "Gateway") }, api.CheckUnknown, "forbidden"},
		{"bound", api.Ask{Kind: api.AskBound, Object: serviceRef}, nil, api.CheckOK, "WaypointAccepted"},
		{"not bound", api.Ask{Kind: api.AskBound, Object: serviceRef}, set(serviceRef, "{status: {conditions: [{type: istio.io/WaypointBound, status: 'False', reason: WaypointMissing}]}}"), api.CheckNot, "WaypointMissing"},
		{"bound for another reason", api.Ask{Kind: api.AskBound, Object: serviceRef}, set(serviceRef, "{status: {conditions: [{type: istio.io/WaypointBound, status: 'True', reason: Other}]}}"), api.CheckNot, "reason Other"},
		{"accepted", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, nil, api.CheckOK, "1 policies"},
		{"accepted in part", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, set(policyRef, "{metadata: {labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: web}]}, status: {conditions: [{type: WaypointAccepted, status: 'True', reason: UnsupportedValue, message: rule ignored}]}}"), api.CheckNot, "UnsupportedValue"},
		{"answer to an older policy", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, func(in *Input) {
			// istiod writes the generation as a string.
			in.Objects[policyRef] = object(t, "{metadata: {generation: 3, labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: web}]}, status: {conditions: [{type: WaypointAccepted, status: 'True', reason: Accepted, observedGeneration: '2'}]}}")
		}, api.CheckNot, "is of generation 2"},
		{"answer to this policy", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, func(in *Input) {
			in.Objects[policyRef] = object(t, "{metadata: {generation: 3, labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: web}]}, status: {conditions: [{type: WaypointAccepted, status: 'True', reason: Accepted, observedGeneration: '3'}]}}")
		}, api.CheckOK, "1 policies"},
		{"answer to nobody knows which", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, func(in *Input) {
			in.Objects[policyRef] = object(t, "{metadata: {generation: 3, labels: {app.kubernetes.io/managed-by: ambientplan}}, spec: {targetRefs: [{kind: Service, name: web}]}, status: {conditions: [{type: WaypointAccepted, status: 'True', reason: Accepted, observedGeneration: new}]}}")
		}, api.CheckUnknown, "of which generation"},
		{"policies may not be read", api.Ask{Kind: api.AskAccepted, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, func(in *Input) { hide(in, "AuthorizationPolicy") }, api.CheckUnknown, "forbidden"},
		{"route", api.Ask{Kind: api.AskRoute, Object: routeRef}, nil, api.CheckOK, "accepted by 1"},
		{"route that nobody answered", api.Ask{Kind: api.AskRoute, Object: routeRef}, set(routeRef, "{spec: {parentRefs: [{name: web}]}}"), api.CheckNot, "no parent that answered"},
		{"route with a parent that did not answer", api.Ask{Kind: api.AskRoute, Object: routeRef}, func(in *Input) {
			in.Objects[routeRef]["spec"] = map[string]any{"parentRefs": []any{map[string]any{}, map[string]any{}}}
		}, api.CheckNot, "1 of 2 parents"},
		{"rolled out", api.Ask{Kind: api.AskRolledOut, Object: webRef}, nil, api.CheckOK, "2 pods"},
		{"controller has not seen it", api.Ask{Kind: api.AskRolledOut, Object: webRef}, set(webRef, "{metadata: {generation: 4}, status: {observedGeneration: 3}}"), api.CheckNot, "has not seen the change"},
		{"old pods are left", api.Ask{Kind: api.AskRolledOut, Object: webRef}, set(webRef, "{spec: {replicas: 2}, status: {replicas: 3, updatedReplicas: 2, readyReplicas: 2}}"), api.CheckNot, "1 old pods"},
		{"not ready", api.Ask{Kind: api.AskRolledOut, Object: webRef}, set(webRef, "{spec: {replicas: 2}, status: {replicas: 2, updatedReplicas: 2, readyReplicas: 1}}"), api.CheckNot, "1 are ready"},
		{"scaled to none", api.Ask{Kind: api.AskRolledOut, Object: webRef}, func(in *Input) {
			set(webRef, "{spec: {replicas: 0}}")(in)
			pods(api.PodCounts{})(in)
		}, api.CheckOK, "0 pods"},
		{"ready pods that were not seen", api.Ask{Kind: api.AskRolledOut, Object: webRef}, pods(api.PodCounts{}), api.CheckUnknown, "2 pods ready, and 0"},
		{"a workload that was not seen", api.Ask{Kind: api.AskRolledOut, Object: webRef}, func(in *Input) { in.Now.Workloads = nil }, api.CheckUnknown, "has no workload"},
		{"a sidecar is left", api.Ask{Kind: api.AskRolledOut, Object: webRef}, pods(api.PodCounts{Observed: true, Total: 2, Ambient: 1, Sidecar: 1}), api.CheckNot, "1 of 2 pods have a sidecar"},
		{"a pod is not captured", api.Ask{Kind: api.AskRolledOut, Object: webRef}, pods(api.PodCounts{Observed: true, Total: 2, Ambient: 1, Uncaptured: 1}), api.CheckNot, "not captured"},
		{"pods may not be read", api.Ask{Kind: api.AskRolledOut, Object: webRef}, func(in *Input) { hide(in, "Pod") }, api.CheckUnknown, "forbidden"},
		{"a workload of another kind", api.Ask{Kind: api.AskRolledOut, Object: api.Ref{Group: "apps", Kind: "ReplicaSet", Namespace: "shop", Name: "web"}}, func(in *Input) {
			in.Objects[api.Ref{Group: "apps", Kind: "ReplicaSet", Namespace: "shop", Name: "web"}] = api.Content{}
		}, api.CheckUnknown, "ReplicaSet"},
		{"sidecars stay", api.Ask{Kind: api.AskSidecars, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, pods(api.PodCounts{Observed: true, Total: 2, Sidecar: 2}), api.CheckOK, "1 workloads"},
		{"a sidecar is gone early", api.Ask{Kind: api.AskSidecars, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, pods(api.PodCounts{Observed: true, Total: 2, Sidecar: 1, Ambient: 1}), api.CheckNot, "1 of 2 pods"},
		{"no sidecar is left", api.Ask{Kind: api.AskNoSidecars, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, nil, api.CheckOK, "no pod"},
		{"one is left", api.Ask{Kind: api.AskNoSidecars, Object: api.Ref{Kind: "Namespace", Name: "shop"}}, pods(api.PodCounts{Observed: true, Total: 2, Sidecar: 1, Ambient: 1}), api.CheckNot, "1 pods of"},
		{"nodes", api.Ask{Kind: api.AskNodes}, nil, api.CheckOK, "ztunnel on 2 nodes"},
		{"no ztunnel", api.Ask{Kind: api.AskNodes}, func(in *Input) { in.Now.Clusters[0].Components = nil }, api.CheckNot, "no DaemonSet ztunnel"},
		{"ztunnel on one of two nodes", api.Ask{Kind: api.AskNodes}, set(ztunnelRef, "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberReady: 1}}"), api.CheckNot, "1 are ready"},
		{"ztunnel on no node", api.Ask{Kind: api.AskNodes}, set(ztunnelRef, "{status: {desiredNumberScheduled: 0}}"), api.CheckNot, "runs on no node"},
		{"istiod", api.Ask{Kind: api.AskIstiod}, nil, api.CheckOK, "true"},
		{"istiod without the flag", api.Ask{Kind: api.AskIstiod}, func(in *Input) { in.Now.Clusters[0].Istiods[0].Flags = nil }, api.CheckNot, "not set"},
		{"no istiod", api.Ask{Kind: api.AskIstiod}, func(in *Input) { in.Now.Clusters[0].Istiods = nil }, api.CheckNot, "no istiod"},
		{"HBONE", api.Ask{Kind: api.AskHBONE}, pods(api.PodCounts{Observed: true, Total: 2, Sidecar: 2, HBONE: 2}), api.CheckOK, "2 sidecars"},
		{"a sidecar of old", api.Ask{Kind: api.AskHBONE}, pods(api.PodCounts{Observed: true, Total: 2, Sidecar: 2, HBONE: 1}), api.CheckNot, "1 of 2 sidecars"},
		{"a gateway is no sidecar", api.Ask{Kind: api.AskHBONE}, func(in *Input) {
			in.Now.Workloads[0].Containers, in.Now.Workloads[0].Pods = []string{"istio-proxy"}, api.PodCounts{Observed: true, Total: 1, Sidecar: 1}
		}, api.CheckOK, "0 sidecars"},
		{"a question of a later version", api.Ask{Kind: "moon phase"}, nil, api.CheckUnknown, "does not know"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := mesh(t)
			if tc.edit != nil {
				tc.edit(&in)
			}
			if got := newJudge(in).answer(tc.ask, 0); got.result != tc.want || !strings.Contains(got.seen, tc.seen) {
				t.Errorf("%s: %s, want %s: %s", got.result, got.seen, tc.want, tc.seen)
			}
		})
	}
}

// TestVerdict: one reason is enough to stop, and what only people know is listed.
func TestVerdict(t *testing.T) {
	base := func() Input {
		in := mesh(t)
		ns := api.Ref{Kind: "Namespace", Name: "shop"}
		in.Plan = &api.MigrationPlan{Complete: true,
			Base: []api.BaseObject{{Object: ns, Fragment: true, Content: api.Content{"kind": "Namespace"}}},
			Waves: []api.Wave{{Number: 1, NotBefore: "2026-11-01", Namespaces: []string{"shop"}, Steps: []api.Step{
				{Name: "enrol", Changes: []api.Change{{Object: ns, Op: api.OpFragment, After: api.Content{"metadata": map[string]any{"labels": map[string]any{"istio.io/dataplane-mode": "ambient"}}}}},
					Checks: []api.Check{{When: "before", What: "the nodes are ready", Ask: &api.Ask{Kind: api.AskNodes}}, {When: "before", What: "tell the team"}}},
			}}}}
		in.Was = &api.Inventory{Coverage: in.Now.Coverage, Workloads: in.Now.Workloads, Namespaces: []api.Namespace{{Name: "shop"}}}
		in.Now.Namespaces = []api.Namespace{{Name: "shop"}}
		in.Today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		return in
	}
	for _, tc := range []struct {
		name    string
		edit    func(*Input)
		want    api.StatusVerdict
		because string
	}{
		{"everything holds", func(*Input) {}, api.MayProceed, ""},
		{"done", func(in *Input) { in.Now.Namespaces[0].Labels = map[string]string{"istio.io/dataplane-mode": "ambient"} }, api.AllDone, ""},
		{"the day has not come", func(in *Input) { in.Plan.Waves[0].NotBefore = "2026-12-01" }, api.Stop, "not start before 2026-12-01"},
		{"the plan is not complete", func(in *Input) { in.Plan.Complete, in.Plan.Incomplete = false, []string{"1 gap"} }, api.Stop, "not complete: 1 gap"},
		{"a check does not hold", func(in *Input) { in.Now.Clusters[0].Components = nil }, api.Stop, "the nodes are ready: there is no DaemonSet ztunnel"},
		{"a check cannot be asked", func(in *Input) { hide(in, "DaemonSet") }, api.Stop, "it is not known whether the nodes are ready"},
		{"off the plan", func(in *Input) { in.Now.Namespaces[0].Labels = map[string]string{"istio.io/dataplane-mode": "none"} }, api.Stop, "Namespace shop is off the plan"},
		{"somebody added a workload to the wave", func(in *Input) {
			in.Now.Workloads = append(in.Now.Workloads, api.Workload{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: "zoo"})
		}, api.Stop, "Deployment shop/zoo: added"},
		{"somebody added one elsewhere", func(in *Input) {
			in.Now.Workloads = append(in.Now.Workloads, api.Workload{Group: "apps", Kind: "Deployment", Namespace: "zoo", Name: "zoo"})
		}, api.MayProceed, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := base()
			tc.edit(&in)
			st, _, err := Judge(in)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(st.Because, "\n")
			if st.Verdict != tc.want || !strings.Contains(got, tc.because) || tc.because == "" && got != "" {
				t.Errorf("%s because %q, want %s because %q", st.Verdict, got, tc.want, tc.because)
			}
			if tc.want == api.MayProceed && (len(st.People) != 1 || !strings.Contains(st.People[0], "tell the team")) {
				t.Errorf("people: %v", st.People)
			}
		})
	}
}
