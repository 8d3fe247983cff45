package rules

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var o07 = Rule{
	ID: "O07", Title: "What a restart does to availability",
	Doc: Doc{
		Why: "The cutover restarts every workload. A rollout does not ask PodDisruptionBudgets: Deployments follow maxUnavailable of their strategy, StatefulSets take one pod down at a " +
			"time. Draining a node, for an upgrade of ztunnel's or istio-cni's nodes, does ask them.",
		Effect:  "a StatefulSet with one pod is down while the pod restarts; a budget that allows no disruption stops a node from being drained, and does not protect the pods from the rollout",
		Remedy:  "run a second replica during the cutover where the workload allows it, or announce the gap",
		Sources: []string{"kubernetes.io: Specifying a Disruption Budget for your Application", "kubernetes.io: StatefulSets, rolling updates", "istio.io: Migrate from sidecar to ambient"},
		Facts:   []string{"O-07", "M-26"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindDisruptionBudget, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkO07,
}

func checkO07(p *Pass) {
	st := p.Mesh()
	moving := func(w *api.Workload) bool { m := st.Mode(w); return m == mesh.ModeSidecar || m == mesh.ModeMixed }
	perNamespace(st, func(_ *api.Namespace, w *api.Workload) bool {
		return w.Kind == "StatefulSet" && w.Replicas != nil && *w.Replicas == 1 && moving(w)
	}, func(ns *api.Namespace, ws []*api.Workload) {
		ev := make([]api.Evidence, len(ws))
		for i, w := range ws {
			ev[i] = Field(w.Ref(), "spec.replicas", "1")
		}
		p.ReportWith(api.Info, ns.Ref(), fmt.Sprintf("StatefulSets of namespace %s have one pod: %s", ns.Name, workloadNames(ws)),
			"each is down while its pod restarts, in the cutover and once more on the way back",
			"announce the gap; a Deployment with the strategy Recreate has the same, which this inventory does not show", ev...)
	})
	for _, b := range st.Objects(mesh.KindDisruptionBudget) {
		spec, _ := b.Content["spec"].(map[string]any)
		sel, err := budgetSelector(spec)
		if err != nil {
			p.Unknown(b.Ref(), fmt.Sprintf("which pods %s protects: %v", b.Ref(), err), "a drained node may wait for it for ever", "correct the selector", Field(b.Ref(), "spec.selector", ""))
			continue
		}
		for _, w := range st.WorkloadsIn(b.Namespace) {
			if !sel.Matches(labels.Set(w.PodLabels)) || !moving(w) {
				continue
			}
			if field, ok := noDisruption(spec, w); ok {
				p.ReportWith(api.Warning, b.Ref(), fmt.Sprintf("%s allows no pod of %s to be evicted", b.Ref(), w.Ref()),
					"the restart of the cutover does not ask it and goes on; draining a node for wave 0, or for a canary node pool, stops at this pod",
					"tell the owner that the budget does not hold for a rollout; relax it before nodes are drained", Field(b.Ref(), "spec."+field, fmt.Sprint(spec[field])))
				break
			}
		}
	}
}

// budgetSelector is the selector of a PodDisruptionBudget; a missing one selects nothing.
func budgetSelector(spec map[string]any) (labels.Selector, error) {
	raw, ok := spec["selector"].(map[string]any)
	if !ok {
		return labels.Nothing(), nil
	}
	s := &metav1.LabelSelector{}
	if m, ok := raw["matchLabels"].(map[string]any); ok {
		s.MatchLabels = map[string]string{}
		for k, v := range m {
			s.MatchLabels[k] = fmt.Sprint(v)
		}
	}
	if es, ok := raw["matchExpressions"].([]any); ok {
		for _, e := range es {
			e, _ := e.(map[string]any)
			r := metav1.LabelSelectorRequirement{}
			r.Key, _ = e["key"].(string)
			op, _ := e["operator"].(string)
			r.Operator = metav1.LabelSelectorOperator(op)
			vs, _ := e["values"].([]any)
			for _, v := range vs {
				r.Values = append(r.Values, fmt.Sprint(v))
			}
			s.MatchExpressions = append(s.MatchExpressions, r)
		}
	}
	return metav1.LabelSelectorAsSelector(s)
}

// noDisruption tells whether a budget lets no pod of the workload go, and by which field.
func noDisruption(spec map[string]any, w *api.Workload) (field string, ok bool) {
	switch v := spec["maxUnavailable"]; v {
	case int64(0), "0", "0%":
		return "maxUnavailable", true
	}
	switch v := spec["minAvailable"].(type) {
	case string:
		return "minAvailable", v == "100%"
	case int64:
		return "minAvailable", w.Replicas != nil && v >= int64(*w.Replicas) && *w.Replicas > 0
	}
	return "", false
}
