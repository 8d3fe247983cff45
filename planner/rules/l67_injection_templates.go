package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l67 = Rule{
	ID: "L67", Title: "Injection templates other than the sidecar",
	Doc: Doc{
		Why: "inject.istio.io/templates chooses what the injector puts into a pod. grpc-agent makes a proxyless gRPC client, which cannot send HBONE to ambient pods. A template for SPIRE " +
			"gives the proxy an identity from a SPIRE agent, which ztunnel cannot use. Other templates are written by the platform team and may do anything.",
		Effect:  "a proxyless client is refused by ambient servers under STRICT mTLS; a workload with a SPIRE identity gets another one from istiod, so that policies on its principal stop matching",
		Remedy:  "keep the sidecar of these workloads; or move a proxyless client to plain gRPC behind ztunnel, and a SPIRE workload to istiod's identities, as projects of their own",
		Sources: []string{"istio/istio pilot/pkg/xds/endpoints/endpoint_builder.go (supportTunnel)", "istio.io: SPIRE integration", "istio.io: Ambient migration, before you begin"},
		Facts:   []string{"L-67", "L-90", "P-12"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL67,
}

func checkL67(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		value := w.PodAnnotations[mesh.AnnotationTemplates]
		if value == "" || !st.InMesh(w) {
			continue
		}
		at := podAnnotation(w, mesh.AnnotationTemplates)
		for _, t := range strings.Split(value, ",") {
			switch t = strings.TrimSpace(t); {
			case t == "" || t == "sidecar":
			case t == "grpc-agent" || t == "grpc-simple":
				needOf(p, w, api.CapProxylessGRPC, "it is a proxyless gRPC client, which cannot send HBONE to ambient pods", at)
			case strings.Contains(strings.ToLower(t), "spire"):
				needOf(p, w, api.CapExternalIdentity, "its proxy takes its identity from a SPIRE agent, and ztunnel only takes identities from istiod's CA", at)
			default:
				p.Unknown(w.Ref(), fmt.Sprintf("what the injection template %q puts into the pods of %s", t, w.Ref()),
					"volumes, containers or settings of a custom template are gone when nothing is injected any more",
					"read the template in the values of istiod's chart (sidecarInjectorWebhook.templates) and move what the application needs into its own manifest", at)
			}
		}
	}
}
