package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l63 = Rule{
	ID: "L63", Title: "Metrics that are scraped through the sidecar",
	Doc: Doc{
		Why: "With merged metrics the injector points prometheus.io annotations at port 15020 of the sidecar, which serves the application's metrics and its own, in plaintext and past " +
			"mTLS. Ports 15020 and 15090 are the sidecar's. Without it they are closed, and the annotations of the template hold again.",
		Effect: "scrapers reach the application's own port: under STRICT mTLS a scraper outside of the mesh is refused there, an AuthorizationPolicy may refuse it, and the istio_* metrics " +
			"of these pods end",
		Remedy: "before the wave let the scraper reach the application's port: put it into the mesh, or set port-level PERMISSIVE for the metrics port; take the mesh's metrics " +
			"from port 15020 of ztunnel and of waypoints",
		Sources: []string{"istio.io: Prometheus, option 1: metrics merging", "istio/istio pkg/kube/inject/inject.go (applyPrometheusMerge)"},
		Facts:   []string{"L-63", "B-13"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindMeshConfig, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkL63,
}

func checkL63(p *Pass) {
	st := p.Mesh()
	merge := true
	for _, m := range st.MeshConfigs() {
		if v := m.Spec.GetEnablePrometheusMerge(); v != nil && !v.GetValue() {
			merge = false
		}
	}
	const scrape, port, mergeKey = "prometheus.io/scrape", "prometheus.io/port", "prometheus.istio.io/merge-metrics"
	proxyPort := func(w *api.Workload) bool {
		v := w.PodAnnotations[port]
		return v == "15020" || v == "15090"
	}
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool { return proxyPort(w) && st.InMesh(w) }, func(ns *api.Namespace, ws []*api.Workload) {
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			ev[i] = podAnnotation(w, port)
		}
		p.ReportWith(api.Warning, ns.Ref(), fmt.Sprintf("templates in namespace %s name a port of the sidecar for scraping: %s", ns.Name, workloadNames(ws)),
			"the port is closed once the sidecar is gone, so the target is down and all its metrics end",
			"name the application's own metrics port; take the mesh's metrics from port 15020 of ztunnel and of waypoints", ev...)
	})
	if !merge {
		return
	}
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool {
		return w.PodAnnotations[scrape] == "true" && w.PodAnnotations[mergeKey] != "false" && !proxyPort(w) && st.InMesh(w)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			ev[i] = podAnnotation(w, scrape)
		}
		p.Report(api.Warning, ns.Ref(), fmt.Sprintf("metrics of namespace %s are scraped through the sidecar today: %s", ns.Name, workloadNames(ws)), ev...)
	})
}
