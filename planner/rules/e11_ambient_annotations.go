package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var e11 = Rule{
	ID: "E11", Title: "Pod annotations that change how ambient mode captures",
	Doc: Doc{
		Why: "A few Alpha annotations change what istio-cni redirects for a pod. Sidecars ignore them, so they begin to act with the cutover. ambient.istio.io/redirection is written by " +
			"istio-cni itself: istiod believes a pod that carries it to speak HBONE.",
		Effect:  "the pod is captured in another way than its neighbours; with a redirection annotation by hand, peers send HBONE to a pod where nothing listens for it, and fail",
		Remedy:  "make sure that each annotation is meant, and remove ambient.istio.io/redirection from templates",
		Sources: []string{"istio.io: Resource annotations", "istio/istio cni/pkg/iptables/iptables.go", "istio/istio issue 58546"},
		Facts:   []string{"E-10", "E-11", "E-12", "E-16"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkE11,
}

func checkE11(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		if !st.InMesh(w) {
			continue
		}
		for _, a := range captureAnnotations() {
			v, ok := w.PodAnnotations[a.key]
			if !ok || a.value != "" && v != a.value {
				continue
			}
			if a.key == "ambient.istio.io/redirection" && (w.Kind == "Pod" || w.Pods.Ambient > 0) {
				continue // istio-cni wrote it on the pod itself.
			}
			p.ReportWith(a.severity, w.Ref(), fmt.Sprintf("the pods of %s carry %s=%q", w.Ref(), a.key, v), a.effect, a.action, podAnnotation(w, a.key))
		}
	}
}

type captureAnnotation struct {
	key, value     string // An empty value means any.
	severity       api.Severity
	effect, action string
}

func captureAnnotations() []captureAnnotation {
	return []captureAnnotation{
		{"ambient.istio.io/bypass-inbound-capture", "true", api.Warning,
			"only what the pod sends is captured: what it receives comes in plaintext, without identity, and no policy of the mesh is enforced at the pod; before 1.29, HBONE to it timed out",
			"keep it only when the pod is meant to receive traffic past the mesh, and restrict it with a NetworkPolicy"},
		{"ambient.istio.io/dns-capture", "false", api.Info,
			"ztunnel does not answer the pod's DNS queries: hosts of ServiceEntries without an address in DNS do not resolve in it",
			"check that the pod calls no host that only a ServiceEntry knows"},
		{"ambient.istio.io/redirection", "", api.Warning,
			"istiod tells every peer that the pod speaks HBONE, also while nothing captures it: their connections fail",
			"remove it from the template; istio-cni writes it on pods itself"},
		{"istio.io/reroute-virtual-interfaces", "", api.Warning,
			"traffic of these interfaces (virtual machines in the pod) is redirected to ztunnel; the annotation is Alpha",
			"test one such pod before the wave"},
		{kubevirtInterface, "", api.Warning,
			"ambient mode does not read it: traffic of virtual machines in the pod is not treated as the sidecar treats it",
			"use istio.io/reroute-virtual-interfaces instead, and test one such pod before the wave"},
	}
}
