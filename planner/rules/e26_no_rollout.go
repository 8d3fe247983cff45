package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e26 = Rule{
	ID: "E26", Title: "Pods that no rollout restarts",
	Doc: Doc{
		Why: "A sidecar leaves a pod only when the pod is created anew. kubectl rollout restart does that for Deployments, StatefulSets and DaemonSets. " +
			"A running Job cannot be restarted, a bare Pod or a ReplicaSet of its own is recreated by nobody, and a CronJob picks the change up at its next run.",
		Effect: "running Jobs, bare Pods and ReplicaSets without an owner keep their sidecar after the cutover, and with it the old enforcement and routing, until somebody recreates them",
		Remedy: "let running Jobs finish before the finalize step, or delete and create them again; recreate bare Pods by hand from their manifest; " +
			"scale ReplicaSets down and up; for CronJobs wait for one run",
		Sources: []string{"istio.io: Migrate from sidecar to ambient", "istio/istio cni/pkg/nodeagent/informers.go"},
		Facts:   []string{"E-22", "E-26"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE26,
}

func checkE26(p *Pass) {
	st := p.Mesh()
	by := func(kinds ...string) func(*api.Namespace, *api.Workload) bool {
		return func(_ *api.Namespace, w *api.Workload) bool {
			m := st.Mode(w)
			if m != mesh.ModeSidecar && m != mesh.ModeMixed {
				return false
			}
			if w.Pods.Observed && w.Pods.Total == w.Pods.Done && w.Kind != "CronJob" {
				return false // All its pods have finished.
			}
			for _, k := range kinds {
				if w.Kind == k {
					return true
				}
			}
			return false
		}
	}
	perNamespace(st, by("Pod", "ReplicaSet"), func(ns *api.Namespace, ws []*api.Workload) {
		p.ReportWith(api.Warning, ns.Ref(), fmt.Sprintf("nobody recreates these pods of namespace %s when they are deleted or restarted: %s", ns.Name, workloadNames(ws)),
			"they keep their sidecar after the cutover, and with it the old enforcement and routing, until a person recreates them",
			"recreate Pods by hand from their manifest, scale ReplicaSets down and up; the plan lists it as a manual step", workloadsOf(ws)...)
	})
	perNamespace(st, by("Job"), func(ns *api.Namespace, ws []*api.Workload) {
		p.ReportWith(api.Warning, ns.Ref(), fmt.Sprintf("Jobs of namespace %s cannot be restarted: %s", ns.Name, workloadNames(ws)),
			"a Job that runs during the cutover keeps its sidecar to its end; its calls go past waypoints, straight to ztunnel",
			"let them finish before the cutover and start no new ones in between; a Job that is created after it runs in ambient mode", workloadsOf(ws)...)
	})
	perNamespace(st, by("CronJob"), func(ns *api.Namespace, ws []*api.Workload) {
		p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("CronJobs of namespace %s change at their next run: %s", ns.Name, workloadNames(ws)),
			"a run that is under way keeps its sidecar, the next one runs in ambient mode",
			"start one run by hand after the cutover (kubectl create job --from=cronjob/NAME) and check that it succeeds; "+
				"take out calls of the sidecar such as /quitquitquit", workloadsOf(ws)...)
	})
}
