package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// foundation is wave 0: what must be there before any namespace moves. All of it
// is done with Helm, istioctl or kubectl by whoever owns the installation, so its
// steps have manual changes and checks only.
func foundation(st *mesh.State, namespaces []string) api.Wave {
	proof := api.Proof{Result: api.ProofUnknown, Reason: "installation is outside the model", Counterexamples: []api.Counterexample{}}
	w := api.Wave{
		Number: 0, Name: "foundation", Namespaces: []string{},
		Reasons: []string{"ambient mode needs its components and sidecars that accept HBONE before the first namespace moves (facts P-01 to P-06, M-02)"},
	}
	w.Steps = append(w.Steps, api.Step{
		Name: "components", Namespaces: []string{}, Proof: proof,
		What:    "Install what ambient mode needs. Nothing is captured yet.",
		Changes: componentChanges(st),
		Checks: []api.Check{
			{When: "after", What: "the DaemonSets ztunnel and istio-cni-node are ready on every node", Command: "kubectl get daemonset -A", Expect: "DESIRED = READY for both", Ask: ask(api.AskNodes, api.Ref{})},
			{When: "after", What: "istiod runs with PILOT_ENABLE_AMBIENT=true", Command: "kubectl get deployment -A -l app=istiod -o jsonpath='{..env[?(@.name==\"PILOT_ENABLE_AMBIENT\")].value}'", Expect: "true, once per istiod", Ask: ask(api.AskIstiod, api.Ref{})},
			{When: "after", What: "a canary pod of no importance, with a TCP and an HTTP probe, becomes ready in ambient mode on each node pool", Expect: "ready; some CNIs drop probes to captured pods (facts P-09, B-10)"},
		},
		Rollback: []api.RollbackStep{},
	})
	restart := api.Step{
		Name: "hbone", Namespaces: slices.Clone(namespaces), Proof: proof,
		What:     "Restart every sidecar once, so that it accepts HBONE. A sidecar that was not restarted is reached in plaintext by ambient callers, and refuses them under STRICT.",
		Rollback: []api.RollbackStep{},
	}
	for _, ns := range namespaces {
		restart.Changes = append(restart.Changes, api.Change{
			Object: api.Ref{Kind: "Namespace", Name: ns}, Op: api.OpManual, Rules: []string{"M-02", "M-03", "O-03", "B-13"},
			Why:    fmt.Sprintf("%d workloads with sidecars", sidecarWorkloads(st, ns)),
			Manual: kubectl("rollout", "restart", "deployment,statefulset,daemonset", "-n", ns),
		})
	}
	restart.Checks = []api.Check{{When: "after", What: "no sidecar is left without its HBONE listener", Command: "kubectl get pods -A -l 'security.istio.io/tlsMode=istio,networking.istio.io/tunnel!=http'", Expect: "No resources found", Ask: ask(api.AskHBONE, api.Ref{})}}
	if restart.Changes == nil {
		restart.Changes = []api.Change{}
	}
	w.Steps = append(w.Steps, restart)
	return w
}

func sidecarWorkloads(st *mesh.State, ns string) int {
	n := 0
	for _, w := range st.WorkloadsIn(ns) {
		if m := st.Mode(w); m == mesh.ModeSidecar || m == mesh.ModeMixed {
			n++
		}
	}
	return n
}
