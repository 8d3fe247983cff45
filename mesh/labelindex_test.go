package mesh

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// The index must find what reading every object finds, in the same order.
func TestIndexFindsWhatReadingAllFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.MapOfN(rapid.SampledFrom([]string{"app", "tier", "version"}), rapid.SampledFrom([]string{"a", "a", "a", ""}), 0, 3)
		namespace := rapid.SampledFrom([]string{"istio-system", "shop"})
		inv := &api.Inventory{}
		for i := range rapid.IntRange(0, 8).Draw(t, "workloads") {
			inv.Workloads = append(inv.Workloads, api.Workload{Kind: "Deployment", Namespace: namespace.Draw(t, "namespace"), Name: strconv.Itoa(i), PodLabels: labels.Draw(t, "labels")})
		}
		for i := range rapid.IntRange(0, 8).Draw(t, "services") {
			inv.Services = append(inv.Services, api.Service{Namespace: namespace.Draw(t, "namespace"), Name: strconv.Itoa(i), Selector: labels.Draw(t, "selector")})
		}
		s, _ := New(inv)
		for i := range s.Services() {
			svc := &s.Services()[i]
			var want []*api.Workload
			for _, w := range s.WorkloadsIn(svc.Namespace) {
				if len(svc.Selector) > 0 && Selects(svc.Selector, w.PodLabels) {
					want = append(want, w)
				}
			}
			if got := s.WorkloadsOf(svc); !slices.Equal(got, want) {
				t.Errorf("WorkloadsOf(%+v) = %v, want %v", svc, got, want)
			}
		}
		for i := range s.Workloads() {
			w := &s.Workloads()[i]
			var want []*api.Service
			for _, svc := range s.ServicesIn(w.Namespace) {
				if len(svc.Selector) > 0 && Selects(svc.Selector, w.PodLabels) {
					want = append(want, svc)
				}
			}
			if got := s.ServicesOf(w); !slices.Equal(got, want) {
				t.Errorf("ServicesOf(%+v) = %v, want %v", w, got, want)
			}
		}
		ns, selector := namespace.Draw(t, "policy"), labels.Draw(t, "policy selector")
		var want []*api.Workload
		for i := range s.Workloads() {
			if w := &s.Workloads()[i]; (ns == s.RootNamespace() || w.Namespace == ns) && Selects(selector, w.PodLabels) {
				want = append(want, w)
			}
		}
		if got := s.Selected(ns, selector); !slices.Equal(got, want) {
			t.Errorf("Selected(%s, %v) = %v, want %v", ns, selector, got, want)
		}
	})
}
