package rules

import (
	"fmt"

	security "istio.io/api/security/v1beta1"
	typev1beta1 "istio.io/api/type/v1beta1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l15 = Rule{
	ID:    "L15",
	Title: "Security policy that has targetRefs already",
	Doc: Doc{
		Why: "Sidecars and ztunnel ignore a policy with targetRefs; a waypoint or a gateway enforces it. One for a Service without waypoint does " +
			"nothing today and starts to act when the Service gets one. One whose target is not there never acts.",
		Effect: "requests are decided otherwise than today from the moment in which the Service's waypoint is activated, or never decided although the policy " +
			"says so",
		Remedy: "check that the policy says what is meant now, and that its targets exist in the right namespace: a Service or ServiceEntry in the policy's, a " +
			"Gateway in the policy's, the GatewayClass istio-waypoint from the root namespace",
		Sources: []string{"Istio pilot/pkg/model/policyattachment.go (ShouldAttachPolicy, GetTargetRefs)"},
		Facts:   []string{"L-15", "L-16"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindK8sGateway, mesh.KindNamespace, mesh.KindRequestAuthentication, mesh.KindService,
		mesh.KindServiceEntry, mesh.KindWorkload,
	},
	Check: checkL15,
}

// targeted is a policy with targetRefs.
type targeted struct {
	*api.Object
	refs       []*typev1beta1.PolicyTargetReference
	path       string // of the list, or of the single reference
	capability api.Capability
}

func checkL15(p *Pass) {
	st := p.Mesh()
	for _, pol := range st.AuthorizationPolicies() {
		c := api.CapL7Authorization
		switch pol.Spec.GetAction() {
		case security.AuthorizationPolicy_CUSTOM:
			c = api.CapExternalAuthorization
		case security.AuthorizationPolicy_AUDIT:
			c = api.CapAuditPolicy
		}
		attached(p, pol.Object, pol.Spec.GetTargetRefs(), pol.Spec.GetTargetRef(), c)
	}
	for _, ra := range st.RequestAuthentications() {
		attached(p, ra.Object, ra.Spec.GetTargetRefs(), ra.Spec.GetTargetRef(), api.CapRequestAuthentication)
	}
}

// attached looks at each target of a policy. The list wins over the single reference.
func attached(p *Pass, o *api.Object, list []*typev1beta1.PolicyTargetReference, one *typev1beta1.PolicyTargetReference, c api.Capability) {
	t := targeted{Object: o, refs: list, path: "spec.targetRefs", capability: c}
	if len(list) == 0 && one != nil {
		t.refs, t.path = []*typev1beta1.PolicyTargetReference{one}, "spec.targetRef"
	}
	for i, r := range t.refs {
		path := t.path
		if path == "spec.targetRefs" {
			path = fmt.Sprintf("spec.targetRefs[%d]", i)
		}
		for _, f := range []string{"group", "kind", "name", "namespace"} {
			p.Account(Field(o.Ref(), path+"."+f, ""))
		}
		t.target(p, r, Field(o.Ref(), path+".name", r.GetName()))
	}
}

// target says what one reference attaches the policy to.
func (t targeted) target(p *Pass, r *typev1beta1.PolicyTargetReference, ev api.Evidence) {
	st := p.Mesh()
	lost := func(why string) {
		p.Report(api.Warning, t.Ref(), fmt.Sprintf("%s targets %s %s, %s", t.Ref(), r.GetKind(), r.GetName(), why), ev)
	}
	if r.GetNamespace() != "" && r.GetNamespace() != t.Namespace {
		lost("in namespace " + r.GetNamespace() + ", and a target in another namespace never matches")
		return
	}
	switch r.GetKind() {
	case "Service":
		if svc := st.Service(t.Namespace, r.GetName()); svc != nil {
			t.service(p, svc, ev)
		} else {
			lost("which the inventory does not know")
		}
	case "ServiceEntry":
		for _, e := range st.ServiceEntries() {
			if e.Namespace == t.Namespace && e.Name == r.GetName() {
				return
			}
		}
		lost("which the inventory does not know")
	case "Gateway":
		for _, g := range st.K8sGateways() {
			if g.Namespace == t.Namespace && g.Name == r.GetName() {
				t.gateway(p, g, ev)
				return
			}
		}
		lost("which the inventory does not know")
	case "GatewayClass":
		if r.GetName() != waypointClass || t.Namespace != st.RootNamespace() {
			lost("and only the GatewayClass istio-waypoint matches, from the root namespace")
			return
		}
		p.Report(api.Warning, t.Ref(), fmt.Sprintf("%s acts at every waypoint, also at those that the plan creates", t.Ref()), ev)
	default:
		lost("a kind that no policy attaches to")
	}
}

// waypointClass is the GatewayClass of waypoints.
const waypointClass = "istio-waypoint"

// service: the policy acts once the Service has a waypoint.
func (t targeted) service(p *Pass, svc *api.Service, ev api.Evidence) {
	st := p.Mesh()
	if _, name := waypointLabel(st, svc); name != "" {
		t.need(p, svc, ev)
		return
	}
	p.Report(api.Warning, t.Ref(), fmt.Sprintf("%s does nothing today, and starts to act when %s gets a waypoint", t.Ref(), svc.Ref()), ev)
}

// gateway: a policy at a waypoint is needed by every Service that uses it. One
// at an ingress gateway stays where it is, since gateways do not move.
func (t targeted) gateway(p *Pass, g mesh.Typed[*gwv1.GatewaySpec], ev api.Evidence) {
	st := p.Mesh()
	if string(g.Spec.GatewayClassName) != waypointClass {
		return
	}
	for i := range st.Services() {
		svc := &st.Services()[i]
		if ns, name := waypointLabel(st, svc); name == g.Name && ns == g.Namespace {
			t.need(p, svc, ev)
		}
	}
}

func (t targeted) need(p *Pass, svc *api.Service, ev api.Evidence) {
	st := p.Mesh()
	for _, w := range st.WorkloadsOf(svc) {
		if st.InMesh(w) {
			p.Need(svc.Ref(), t.capability, fmt.Sprintf("%s acts at its waypoint already", t.Ref()), ev)
			return
		}
	}
}

// waypointLabel is the waypoint that a Service asks for: its own label, else its
// namespace's; "none" opts out. Source: pilot/pkg/serviceregistry/ambient/waypoints.go
// (fetchWaypointForTarget), facts E-18.
func waypointLabel(st *mesh.State, svc *api.Service) (namespace, name string) {
	labels := svc.Labels
	if _, ok := labels[mesh.LabelUseWaypoint]; !ok {
		ns := st.Namespace(svc.Namespace)
		if ns == nil {
			return "", ""
		}
		labels = ns.Labels
	}
	name = labels[mesh.LabelUseWaypoint]
	if name == "" || name == "none" {
		return "", ""
	}
	if namespace = labels[mesh.LabelUseWaypointNS]; namespace == "" {
		namespace = svc.Namespace
	}
	return namespace, name
}
