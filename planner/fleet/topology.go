package fleet

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

const (
	// labelNetwork on the root namespace names the network of the cluster (istio.io/istio
	// pilot/pkg/serviceregistry/ambient/networks.go).
	labelNetwork = "topology.istio.io/network"
	// annotationControlPlanes on the root namespace of a cluster names the clusters whose
	// istiod serves it (pilot/pkg/serviceregistry/kube/controller/multicluster.go).
	annotationControlPlanes = "topology.istio.io/controlPlaneClusters"
	// flagMultiNetwork lets istiod read Services of other clusters for ambient mode at
	// all (facts M-35; pilot/pkg/serviceregistry/ambient/ambientindex.go).
	flagMultiNetwork = "AMBIENT_ENABLE_MULTI_NETWORK"
	// flagExternal says that istiod serves proxies of other clusters (facts P-12).
	flagExternal = "EXTERNAL_ISTIOD"
	// classEastWest is the GatewayClass of gateways that speak double HBONE.
	classEastWest = "istio-east-west"
)

// said is a setting and where it stands; the zero value was not found.
type said struct {
	value    string
	evidence api.Evidence
}

// facts are what the objects of a cluster say of the fleet that it belongs to. Secrets
// with the credentials of other clusters (istio-remote-secret) are never read, so that
// who watches whom is not known.
type facts struct {
	role api.ClusterRole
	// why is what the role was read from.
	why      string
	evidence []api.Evidence
	// proxies tells whether a workload of the cluster is in the mesh.
	proxies              bool
	network, meshID      said
	trustDomain          said
	aliases              []string
	versions             []string
	multiNetwork, serves []api.ControlPlane
	istiods              int
	// eastWest and legacy are gateways between networks: for ambient mode, and for sidecars.
	eastWest, legacy []api.Ref
}

// factsOf reads them.
func factsOf(st *mesh.State) facts {
	f := facts{}
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		f.proxies = f.proxies || st.InMesh(w) && st.Mode(w) != mesh.ModeGateway
		if w.PodLabels["istio"] == "eastwestgateway" {
			f.legacy = append(f.legacy, w.Ref())
		}
	}
	for _, g := range st.K8sGateways() {
		if g.Spec != nil && string(g.Spec.GatewayClassName) == classEastWest {
			f.eastWest = append(f.eastWest, g.Ref())
		}
	}
	f.readMeshConfig(st)
	f.readOperators(st)
	f.readNetwork(st)
	for _, c := range st.Clusters() {
		for _, cp := range c.Istiods {
			f.istiods++
			f.versions = append(f.versions, cmp.Or(cp.Version, "unknown"))
			if isOn(cp.Flags[flagMultiNetwork]) {
				f.multiNetwork = append(f.multiNetwork, cp)
			}
			if isOn(cp.Flags[flagExternal]) {
				f.serves = append(f.serves, cp)
			}
		}
	}
	slices.Sort(f.versions)
	f.versions = slices.Compact(f.versions)
	f.readRole(st)
	return f
}

func isOn(v string) bool { return v == "true" || v == "1" }

func field(ref api.Ref, path, value string) api.Evidence {
	return api.Evidence{Object: ref, Path: path, Value: value}
}

// readMeshConfig takes the mesh configuration of the default revision, or of the first.
func (f *facts) readMeshConfig(st *mesh.State) {
	for _, mc := range st.MeshConfigs() {
		spec := mc.Spec
		if id := spec.GetDefaultConfig().GetMeshId(); id != "" && f.meshID.value == "" {
			f.meshID = said{id, field(mc.Ref(), "spec.defaultConfig.meshId", id)}
		}
		if f.trustDomain.value == "" {
			td := cmp.Or(spec.GetTrustDomain(), "cluster.local")
			f.trustDomain = said{td, field(mc.Ref(), "spec.trustDomain", spec.GetTrustDomain())}
			f.aliases = spec.GetTrustDomainAliases()
		}
	}
}

// readOperators takes what an IstioOperator sets where the mesh configuration says nothing.
func (f *facts) readOperators(st *mesh.State) {
	for _, o := range st.Objects(mesh.KindIstioOperator) {
		set := func(into *said, path ...string) {
			if v := text(o.Content, append([]string{"spec"}, path...)...); v != "" && into.value == "" {
				*into = said{v, field(o.Ref(), "spec."+strings.Join(path, "."), v)}
			}
		}
		set(&f.meshID, "values", "global", "meshID")
		set(&f.meshID, "meshConfig", "defaultConfig", "meshId")
		set(&f.network, "values", "global", "network")
		set(&f.trustDomain, "meshConfig", "trustDomain")
		for _, path := range [][]string{{"values", "global", "remotePilotAddress"}, {"values", "istiodRemote", "enabled"}, {"profile"}} {
			v := text(o.Content, append([]string{"spec"}, path...)...)
			if v == "" || v == "false" || path[0] == "profile" && v != "remote" {
				continue
			}
			f.evidence = append(f.evidence, field(o.Ref(), "spec."+strings.Join(path, "."), v))
		}
	}
}

// text reads a scalar below nested objects; "" when there is none.
func text(c map[string]any, path ...string) string {
	var at any = c
	for _, p := range path {
		m, ok := at.(map[string]any)
		if !ok {
			if m, ok = at.(api.Content); !ok {
				return ""
			}
		}
		at = m[p]
	}
	switch v := at.(type) {
	case string:
		return v
	case bool:
		return fmt.Sprint(v)
	}
	return ""
}

// readNetwork takes the label of the root namespace, which is what istiod reads, and else
// what pods are labelled with, when they agree.
func (f *facts) readNetwork(st *mesh.State) {
	if ns := st.Namespace(st.RootNamespace()); ns != nil && ns.Labels[labelNetwork] != "" {
		f.network = said{ns.Labels[labelNetwork], field(ns.Ref(), api.FieldPath("metadata.labels", labelNetwork), ns.Labels[labelNetwork])}
		return
	}
	var first said
	for i := range st.Workloads() {
		w := &st.Workloads()[i]
		v := w.PodLabels[labelNetwork]
		switch {
		case v == "":
		case first.value == "":
			first = said{v, field(w.Ref(), api.FieldPath("spec.template.metadata.labels", labelNetwork), v)}
		case first.value != v:
			return // one cluster may be of several networks: not known is the honest answer
		}
	}
	if f.network.value == "" {
		f.network = first
	}
}

// readRole decides where the control plane is. An istiod in the cluster makes it a
// primary; without one only what says so makes it a remote.
func (f *facts) readRole(st *mesh.State) {
	root := st.RootNamespace()
	if f.istiods > 0 {
		f.role, f.why, f.evidence = api.RolePrimary, "an istiod runs in it", nil
		return
	}
	ns := st.Namespace(root)
	if ns != nil && ns.Annotations[annotationControlPlanes] != "" {
		f.evidence = append(f.evidence, field(ns.Ref(), api.FieldPath("metadata.annotations", annotationControlPlanes), ns.Annotations[annotationControlPlanes]))
	}
	for _, s := range st.ServicesIn(root) {
		// The chart of a remote makes the Service that proxies call, without pods behind
		// it (manifests/charts/istio-discovery/templates/remote-istiod-service.yaml).
		if (s.Name == "istiod" || strings.HasPrefix(s.Name, "istiod-")) && len(s.Selector) == 0 {
			f.evidence = append(f.evidence, field(s.Ref(), "spec.selector", ""))
		}
	}
	switch {
	case len(f.evidence) > 0:
		f.role, f.why = api.RoleRemote, "no istiod runs in it, and "+f.evidence[0].Object.String()+" says that another cluster serves its proxies"
	case f.proxies && ns != nil && !ns.Implied && observed(st) && deploymentsSeen(st):
		f.role, f.why = api.RoleRemote, "its pods have proxies, and there is no istiod in "+root
		f.evidence = []api.Evidence{{Object: ns.Ref()}}
	default:
		f.role, f.why = api.RoleUnknown, "no istiod was read, and nothing that says where it is"
	}
}

// observed tells whether running pods were read.
func observed(st *mesh.State) bool {
	return slices.ContainsFunc(st.Workloads(), func(w api.Workload) bool { return w.Pods.Observed })
}

// deploymentsSeen tells whether an istiod would have been seen.
func deploymentsSeen(st *mesh.State) bool {
	return slices.ContainsFunc(st.Inventory().Coverage, func(c api.KindCoverage) bool {
		return c.Group == "apps" && c.Kind == "Deployment" && c.State == api.Complete
	})
}
