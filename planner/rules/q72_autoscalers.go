package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var q72 = Rule{
	ID: "Q72", Title: "Autoscalers that measure the sidecar",
	Doc: Doc{
		Why: "A HorizontalPodAutoscaler on resource utilisation divides the usage of all containers by the requests of all containers, the sidecar included. A metric of the container " +
			"istio-proxy alone has nothing to measure once the container is gone.",
		Effect:  "the utilisation of the same load changes with the restart, so the workload scales up or down without a change in load",
		Remedy:  "before the wave, measure the application's container alone (type ContainerResource), and set its target again",
		Sources: []string{"kubernetes.io: Horizontal Pod Autoscaling, container resource metrics"},
		Facts:   []string{"Q-72"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAutoscaler, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkQ72,
}

func checkQ72(p *Pass) {
	st := p.Mesh()
	for _, o := range st.Objects(mesh.KindAutoscaler) {
		spec, _ := o.Content["spec"].(map[string]any)
		if w := scaledWorkload(st, o.Namespace, spec); w == nil || st.Mode(w) != mesh.ModeSidecar && st.Mode(w) != mesh.ModeMixed {
			continue
		}
		if _, ok := spec["targetCPUUtilizationPercentage"]; ok {
			p.Report(api.Info, o.Ref(), fmt.Sprintf("%s scales by the CPU utilisation of all containers, the sidecar included", o.Ref()),
				Field(o.Ref(), "spec.targetCPUUtilizationPercentage", ""))
		}
		metrics, _ := spec["metrics"].([]any)
		for i, m := range metrics {
			m, _ := m.(map[string]any)
			container, _ := m["containerResource"].(map[string]any)
			resource, _ := m["resource"].(map[string]any)
			target, _ := resource["target"].(map[string]any)
			switch {
			case container["container"] == "istio-proxy":
				p.ReportWith(api.Warning, o.Ref(), fmt.Sprintf("%s scales by a resource of the container istio-proxy", o.Ref()),
					"the metric cannot be computed any more (FailedGetContainerResourceMetric): the workload no longer scales up by it",
					"before the wave, measure the application's container instead", Field(o.Ref(), fmt.Sprintf("spec.metrics[%d].containerResource", i), "istio-proxy"))
			case target["averageUtilization"] != nil:
				p.Report(api.Info, o.Ref(), fmt.Sprintf("%s scales by the utilisation of all containers, the sidecar included", o.Ref()),
					Field(o.Ref(), fmt.Sprintf("spec.metrics[%d].resource", i), fmt.Sprint(resource["name"])))
			}
		}
	}
}

// scaledWorkload is the workload that an autoscaler scales; nil when it was not read.
func scaledWorkload(st *mesh.State, namespace string, spec map[string]any) *api.Workload {
	ref, _ := spec["scaleTargetRef"].(map[string]any)
	for _, w := range st.WorkloadsIn(namespace) {
		if w.Kind == ref["kind"] && w.Name == ref["name"] {
			return w
		}
	}
	return nil
}
