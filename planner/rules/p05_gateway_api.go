package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p05 = Rule{
	ID: "P05", Title: "Gateway API definitions that istiod ignores",
	Doc: Doc{
		Why: "Waypoints are Gateways of the Gateway API. istiod ignores whole kinds whose definition is too old, or too new, for its version, going by the annotation " +
			"gateway.networking.k8s.io/bundle-version, with no more than a line in its log. TLSRoute has no bundle that serves both Istio 1.29 and 1.30.",
		Effect:  "without the definitions no waypoint can be created; routes of a kind that istiod ignores do nothing, and what they restrict or route ends",
		Remedy:  "install the standard channel of the Gateway API in the version that the table of Istio's release asks for, before wave 0",
		Sources: []string{"istio/istio pkg/config/schema/gatewayapi/minimumversions.go", "istio/istio pkg/kube/kclient/crdwatcher.go", "kubernetes.io blog: Gateway API v1.5"},
		Facts:   []string{"P-05", "P-06", "B-15"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindBackendTLSPolicy, mesh.KindCRD, mesh.KindCluster, mesh.KindGRPCRoute, mesh.KindNamespace, mesh.KindTCPRoute, mesh.KindTLSRoute, mesh.KindWorkload},
	Check: checkP05,
}

const gatewayAPIGroup = ".gateway.networking.k8s.io"

func checkP05(p *Pass) {
	st := p.Mesh()
	crds := gatewayCRDs(st)
	seen := len(st.Objects(mesh.KindCRD)) > 0
	member, ok := someMember(st)
	if !ok {
		return
	}
	cluster := api.Ref{Kind: "Cluster", Name: "cluster"}
	switch {
	case len(crds) == 0 && !seen:
		p.Unknown(cluster, "whether the Gateway API is installed, and in which version: no CustomResourceDefinition was read",
			"without it no waypoint can be created, and with another version istiod ignores kinds of routes",
			"take the inventory from the cluster, or add the definitions; wave 0 lists them", member)
		return
	case crds["gateways"] == nil || crds["gatewayclasses"] == nil || crds["httproutes"] == nil:
		p.ReportWith(api.Warning, cluster, "Gateway, GatewayClass and HTTPRoute of the Gateway API are not all defined in the cluster",
			"no waypoint can be created", "install the standard channel of the Gateway API in wave 0", member)
	}
	objects := map[string]int{
		"grpcroutes": len(st.GRPCRoutes()), "tcproutes": len(st.TCPRoutes()), "tlsroutes": len(st.TLSRoutes()),
		"backendtlspolicies": len(st.Objects(mesh.KindBackendTLSPolicy)),
	}
	for _, cp := range istiods(st) {
		istio, ok := parseVersion(cp.Version)
		if !ok {
			continue
		}
		for _, plural := range []string{"backendtlspolicies", "grpcroutes", "tcproutes", "tlsroutes"} {
			if crds[plural] != nil {
				checkBundle(p, istio, plural, crds[plural], objects[plural])
			}
		}
	}
}

// checkBundle compares one definition with what istiod of a version watches.
func checkBundle(p *Pass, istio version, plural string, crd *api.Object, objects int) {
	const key = annotationBundle
	text := crd.Annotations()[key]
	bundle, ok := parseVersion(text)
	lowest, below := bundleBounds(istio, plural)
	var why string
	switch {
	case !ok && (lowest != version{} || below != version{}):
		why = "it has no version of its bundle"
	case ok && bundle.less(lowest):
		why = fmt.Sprintf("its bundle is %s and Istio %s wants %s or later", bundle, istio.line(), lowest)
	case ok && below != version{} && !bundle.less(below):
		why = fmt.Sprintf("its bundle is %s and Istio %s wants one before %s", bundle, istio.line(), below)
	default:
		return
	}
	severity := api.Info
	if objects > 0 {
		severity = api.Warning
	}
	p.Report(severity, crd.Ref(), fmt.Sprintf("istiod ignores %s, of which %d exist: %s", plural, objects, why), Field(crd.Ref(), Join("metadata.annotations", key), text))
}

// bundleBounds is the range of bundle versions that istiod of a version watches
// for a kind: from lowest on and before below; zero means no bound.
func bundleBounds(istio version, plural string) (lowest, below version) {
	switch plural {
	case "grpcroutes":
		return version{1, 1, 0}, version{}
	case "backendtlspolicies":
		return version{1, 4, 0}, version{}
	case "tlsroutes":
		if istio.less(version{1, 30, 0}) {
			return version{}, version{1, 4, 2}
		}
		return version{1, 5, 0}, version{}
	case "tcproutes":
		if !istio.less(version{1, 31, 0}) {
			return version{1, 6, 0}, version{}
		}
	}
	return version{}, version{}
}
