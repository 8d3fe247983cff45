package mesh

import (
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestModeFollowsLabels(t *testing.T) {
	cases := []struct {
		name string
		ns   map[string]string
		pod  map[string]string
		w    api.Workload
		want Mode
	}{
		{name: "namespace injection", ns: map[string]string{LabelInjection: "enabled"}, want: ModeSidecar},
		{name: "pod opts out", ns: map[string]string{LabelInjection: "enabled"}, pod: map[string]string{LabelInject: "false"}, want: ModeNone},
		{name: "pod opts in", pod: map[string]string{LabelInject: "true"}, want: ModeSidecar},
		{name: "revision", ns: map[string]string{LabelRevision: "stable"}, want: ModeSidecar},
		{name: "disabled beats revision", ns: map[string]string{LabelInjection: "disabled", LabelRevision: "stable"}, want: ModeNone},
		{name: "disabled beats a pod that asks", ns: map[string]string{LabelInjection: "disabled"}, pod: map[string]string{LabelInject: "true"}, want: ModeNone},
		{name: "pod asks for a revision", pod: map[string]string{LabelRevision: "canary"}, want: ModeSidecar},
		{name: "annotation alone asks for nothing", w: api.Workload{PodAnnotations: map[string]string{LabelInject: "true"}}, want: ModeNone},
		{name: "annotation opts out", ns: map[string]string{LabelInjection: "enabled"}, w: api.Workload{PodAnnotations: map[string]string{LabelInject: "false"}}, want: ModeNone},
		{name: "ambient", ns: map[string]string{LabelDataplaneMode: "ambient"}, want: ModeAmbient},
		{name: "sidecar beats ambient", ns: map[string]string{LabelDataplaneMode: "ambient", LabelInjection: "enabled"}, want: ModeSidecar},
		{name: "ambient opt out", ns: map[string]string{LabelDataplaneMode: "ambient"}, pod: map[string]string{LabelDataplaneMode: "none"}, want: ModeNone},
		{name: "host network", ns: map[string]string{LabelInjection: "enabled"}, w: api.Workload{HostNetwork: true}, want: ModeNone},
		{name: "pods tell the truth", ns: map[string]string{LabelInjection: "enabled"}, w: api.Workload{Pods: api.PodCounts{Observed: true, Total: 2, Uncaptured: 2}}, want: ModeNone},
		{name: "mixed pods", w: api.Workload{Pods: api.PodCounts{Observed: true, Total: 2, Uncaptured: 1, Sidecar: 1}}, want: ModeMixed},
		{name: "gateway without an application", ns: map[string]string{LabelInjection: "enabled"}, w: api.Workload{ManualProxy: true, Containers: []string{"istio-proxy"}}, want: ModeGateway},
		{name: "proxy beside an application", w: api.Workload{ManualProxy: true, Containers: []string{"app", "istio-proxy"}}, want: ModeSidecar},
		{name: "gateway", pod: map[string]string{"istio": "ingressgateway"}, want: ModeGateway},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := c.w
			w.Kind, w.Namespace, w.Name, w.PodLabels = "Deployment", "shop", "web", c.pod
			s, _ := New(&api.Inventory{Namespaces: []api.Namespace{{Name: "shop", Labels: c.ns}}, Workloads: []api.Workload{w}})
			if got := s.Mode(&s.Workloads()[0]); got != c.want {
				t.Errorf("mode = %v, want %v", got, c.want)
			}
		})
	}
}

func TestModeOfImpliedNamespaceIsUnknown(t *testing.T) {
	s, _ := New(&api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop", Implied: true}},
		Workloads:  []api.Workload{{Kind: "Deployment", Namespace: "shop", Name: "web"}},
	})
	if got := s.Mode(&s.Workloads()[0]); got != ModeUnknown {
		t.Errorf("mode = %v, want unknown: nobody showed the labels of the namespace", got)
	}
}

// TestModeOutOfAnyNamespace: what no label of a namespace can change is known though
// nobody showed the namespace.
func TestModeOutOfAnyNamespace(t *testing.T) {
	for _, c := range []struct {
		name, namespace string
		pod             map[string]string
		want            Mode
	}{
		{"neither the injector nor istio-cni touches kube-system", "kube-system", nil, ModeNone},
		{"refuses both", "shop", map[string]string{LabelInject: "false", LabelDataplaneMode: "none"}, ModeNone},
		{"refuses the sidecar only", "shop", map[string]string{LabelInject: "false"}, ModeUnknown},
	} {
		s, _ := New(&api.Inventory{
			Namespaces: []api.Namespace{{Name: c.namespace, Implied: true}},
			Workloads:  []api.Workload{{Kind: "Deployment", Namespace: c.namespace, Name: "web", PodLabels: c.pod}},
		})
		if got := s.Mode(&s.Workloads()[0]); got != c.want {
			t.Errorf("%s: mode = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestUndecodableSpecIsUnknown(t *testing.T) {
	_, unknowns := New(&api.Inventory{Objects: []api.Object{{
		APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "shop", Name: "bad",
		Content: api.Content{"spec": map[string]any{"rules": "not a list"}},
		Origin:  api.Origin{File: "a.yaml", Line: 3},
	}}})
	if len(unknowns) != 1 || unknowns[0].Evidence[0].Source != "a.yaml:3" {
		t.Errorf("got %+v, want one unknown at a.yaml:3", unknowns)
	}
}

func TestServiceByHost(t *testing.T) {
	s, _ := New(&api.Inventory{Services: []api.Service{{Namespace: "shop", Name: "web"}}})
	for host, exact := range map[string]bool{"web": true, "web.shop.svc.cluster.local": true, "web.shop": false, "web.shop.svc": false} {
		svc, got := s.ServiceByHost(host, "shop")
		if svc == nil || got != exact {
			t.Errorf("%s: got %v, exact %v, want exact %v", host, svc, got, exact)
		}
	}
	if svc, _ := s.ServiceByHost("web", "other"); svc != nil {
		t.Errorf("a short name resolved in the wrong namespace: %v", svc)
	}
}
