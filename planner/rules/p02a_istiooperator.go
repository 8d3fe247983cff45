package rules

import (
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p02a = Rule{
	ID: "P02a", Title: "Istio is installed from an IstioOperator",
	Doc: Doc{
		Why: "An IstioOperator is the input of istioctl install. Wave 0 has to be made there (profile: ambient), or the next install takes it back. Its meshConfig is what the mesh " +
			"gets; the mesh configuration that this plan was made from is the one in the ConfigMap istio.",
		Effect:  "an install from this file, unchanged, removes what wave 0 sets up",
		Remedy:  "change the profile to ambient in this file and keep its other settings; compare its meshConfig with the findings on MeshConfig",
		Sources: []string{"istio.io: IstioOperator options", "istio/istio manifests/profiles/ambient.yaml"},
		Facts:   []string{"P-02", "L-81"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindIstioOperator, mesh.KindMeshConfig},
	Check: checkP02a,
}

func checkP02a(p *Pass) {
	st := p.Mesh()
	for _, o := range st.Objects(mesh.KindIstioOperator) {
		ref := o.Ref()
		spec, _ := o.Content["spec"].(map[string]any)
		for _, f := range []string{"profile", "hub", "tag", "revision", "namespace", "installPackagePath", "components", "compatibilityVersion"} {
			if _, ok := spec[f]; ok {
				p.Account(Field(ref, "spec."+f, ""))
			}
		}
		profile, _ := spec["profile"].(string)
		if profile != "ambient" {
			p.Report(api.Info, ref, fmt.Sprintf("%s installs Istio with profile %q, which has no ambient mode", ref, profile), Field(ref, "spec.profile", profile))
		}
		if mc, ok := spec["meshConfig"].(map[string]any); ok {
			at := Field(ref, "spec.meshConfig", "")
			if len(st.MeshConfigs()) == 0 {
				p.Unknown(ref, fmt.Sprintf("what the mesh configuration of %s does: it sets %s, and only the ConfigMap of a running istiod is read", ref, listed(slices.Collect(maps.Keys(mc)))),
					"settings such as REGISTRY_ONLY, extension providers or access logs are missing from the plan", "add the ConfigMap istio of the cluster to the input", at)
			} else {
				p.Account(at)
			}
		}
		if v, ok := spec["values"].(map[string]any); ok {
			p.Unknown(ref, fmt.Sprintf("what these chart values of %s mean for ambient mode: %s", ref, listed(slices.Collect(maps.Keys(v)))),
				"values of the charts can change injection, capture and the flags of istiod", "compare them with the ambient profile when wave 0 is prepared", Field(ref, "spec.values", ""))
		}
	}
}
