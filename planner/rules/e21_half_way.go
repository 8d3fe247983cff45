package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e21 = Rule{
	ID: "E21", Title: "Somebody began to migrate already",
	Doc: Doc{
		Why: "The injector never looks at istio.io/dataplane-mode. With both labels new pods get a sidecar, and a sidecar excludes capture; " +
			"so the labels say ambient while the pods are not. After half a restart a workload has pods of both kinds, and each kind enforces other policies.",
		Effect: "the namespace looks migrated and is not, or a part of its pods enforces no layer 7 policy while the others do",
		Remedy: "find out who set the label and when; let this plan's steps finish the move, or take the label away before wave 1",
		Sources: []string{"istio/istio pkg/kube/inject/inject.go (injectRequired)", "istio/istio cni/pkg/util/enablement_selector.go",
			"istio/istio tests/integration/ambient/sidecar_migration_test.go"},
		Facts: []string{"E-20", "E-21", "E-22"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE21,
}

func checkE21(p *Pass) {
	st := p.Mesh()
	nss := st.Namespaces()
	for i := range nss {
		ns := &nss[i]
		if ns.Labels[mesh.LabelDataplaneMode] != "ambient" {
			continue
		}
		label := Field(ns.Ref(), Join("metadata.labels", mesh.LabelDataplaneMode), "ambient")
		switch {
		case ns.Labels[mesh.LabelInjection] == "enabled":
			p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("namespace %s is labelled for sidecars and for ambient; pods get a sidecar, and it wins", ns.Name),
				"nothing migrates until injection is off and the pods are restarted; pods without a sidecar are in ambient mode already",
				"leave the labels as they are: the plan's cutover step turns injection off", label,
				Field(ns.Ref(), Join("metadata.labels", mesh.LabelInjection), "enabled"))
		case ns.Labels[mesh.LabelInjection] == "" && ns.Labels[mesh.LabelRevision] != "":
			p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("namespace %s is labelled for revision %q and for ambient; pods get a sidecar, and it wins", ns.Name, ns.Labels[mesh.LabelRevision]),
				"nothing migrates until injection is off and the pods are restarted; pods without a sidecar are in ambient mode already",
				"leave the labels as they are: the plan's cutover step turns injection off", label,
				Field(ns.Ref(), Join("metadata.labels", mesh.LabelRevision), ns.Labels[mesh.LabelRevision]))
		default:
			p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("namespace %s is in ambient mode already", ns.Name),
				"its pods without sidecar are captured by ztunnel today; the plan does not enrol them again",
				"check that what its services need is served by a waypoint today; this plan reports needs, it does not repair a finished move", label)
		}
	}
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool { return st.Mode(w) == mesh.ModeMixed },
		func(ns *api.Namespace, ws []*api.Workload) {
			p.ReportWith(api.Warning, ns.Ref(), fmt.Sprintf("pods of the same workload run in different modes in namespace %s: %s", ns.Name, workloadNames(ws)),
				"whether a request meets layer 7 policy, or mTLS at all, depends on which pod it reaches",
				"find out whether a restart is under way or was given up; restart these workloads so that all pods agree, then take the inventory again",
				workloadsOf(ws)...)
		})
}
