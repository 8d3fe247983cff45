package convert

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	networking "istio.io/api/networking/v1alpha3"
	"k8s.io/apimachinery/pkg/util/intstr"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// version is a Service for one subset of another (facts C-50).
type version struct {
	service  *api.Service
	subset   string
	name     string
	selector map[string]string
	// exists: such a Service is in the mesh already.
	exists   bool
	policy   *networking.TrafficPolicy
	rule     api.Ref
	exportTo []string
	// withRule: a DestinationRule is needed, since settings or a wildcard rule would act otherwise.
	withRule bool
}

// subset finds or plans the Service for a subset; false when there cannot be one (facts C-29, C-50, C-51).
func (c *conversion) subset(o *api.Object, path, host string, svc *api.Service, subset string) (string, bool) {
	at := path + ".subset"
	if svc == nil {
		c.notes.keep(o, at, "C-29", fmt.Sprintf("%s is no Service, so its subsets cannot be Services", host))
		return "", false
	}
	settings, err := c.st.DestinationSettingsAt(svc.Namespace, host, svc.Namespace)
	if err != nil {
		c.block(o, at, "C-29", err.Error(), "correct the DestinationRule")
		return "", false
	}
	sub, ok := settings.Subsets[subset]
	if !ok {
		c.block(o, at, "C-29", fmt.Sprintf("no DestinationRule that a waypoint of %s reads has subset %q for %s", svc.Namespace, subset, host),
			"add the subset to a DestinationRule in the namespace of the service, or route to the service as a whole")
		return "", false
	}
	if svc.Headless || svc.ExternalName != "" || len(svc.Selector) == 0 {
		c.notes.keep(o, at, "C-50", fmt.Sprintf("%s has no pods by selector and address of its own, so its subsets cannot be Services", svc.Ref()))
		return "", false
	}
	v := &version{service: svc, subset: subset, selector: maps.Clone(svc.Selector), rule: sub.Rule, exportTo: settings.ExportTo}
	for k, val := range sub.Spec.GetLabels() {
		if own, ok := v.selector[k]; ok && own != val {
			c.block(o, at, "C-50", fmt.Sprintf("subset %s asks for %s=%s and %s selects %s=%s, so it has no pods", subset, k, val, svc.Ref(), k, own), "correct the subset, or do not route to it")
			return "", false
		}
		v.selector[k] = val
	}
	if there := c.waypointNamespace(); there != svc.Namespace {
		// The Service of the subset is the same for every caller, and so are its settings.
		seen, err := c.st.DestinationSettingsAt(there, host, svc.Namespace)
		other := seen.Subsets[subset].Spec
		if err != nil || !maps.Equal(other.GetLabels(), sub.Spec.GetLabels()) || !samePolicy(other.GetTrafficPolicy(), sub.Spec.GetTrafficPolicy()) || !samePolicy(seen.Policy, settings.Policy) {
			c.notes.keep(o, at, "C-51", fmt.Sprintf("a waypoint of %s reads other settings for %s than one of %s, and a Service of the subset has the same for all", there, host, svc.Namespace))
			return "", false
		}
	}
	v.policy, ok = mergePolicy(settings.Policy, sub.Spec.GetTrafficPolicy(), svc.Ports)
	if !ok {
		c.notes.keep(o, at, "C-51", fmt.Sprintf("settings for ports of %s cannot be written for the subset alone", sub.Rule))
		return "", false
	}
	for _, k := range []mesh.Kind{mesh.KindBackendTLSPolicy, mesh.KindBackendTrafficPolicy} {
		if p := targeting(c.st.Objects(k), svc); p != nil {
			c.notes.keep(o, at, "C-51", fmt.Sprintf("%s holds for %s and would not for a Service of the subset", p.Ref(), svc.Ref()))
			return "", false
		}
	}
	v.name, v.exists = c.names.version(svc, subset, v.selector)
	own := v.name + "." + svc.Namespace + ".svc." + c.st.ClusterDomain()
	now, err := c.st.DestinationSettingsAt(svc.Namespace, own, svc.Namespace)
	if err != nil {
		c.block(o, at, "C-51", err.Error(), "correct the DestinationRule")
		return "", false
	}
	v.withRule = !samePolicy(now.Policy, v.policy)
	if v.exists && v.withRule && len(now.Rules) > 0 {
		c.notes.keep(o, at, "C-51", fmt.Sprintf("Service %s is there already, and %s sets other things for it than for the subset", v.name, now.Rules[0]))
		return "", false
	}
	c.versions[svc.Namespace+"/"+v.name] = v
	return v.name, true
}

// targeting finds a policy of the Gateway API whose target is a Service.
func targeting(objects []*api.Object, svc *api.Service) *api.Object {
	for _, o := range objects {
		refs, _ := translate.Spec(o.Content)["targetRefs"].([]any)
		for _, r := range refs {
			if m, ok := r.(map[string]any); ok && o.Namespace == svc.Namespace && m["kind"] == "Service" && m["name"] == svc.Name {
				return o
			}
		}
	}
	return nil
}

func samePolicy(a, b *networking.TrafficPolicy) bool {
	text := func(p *networking.TrafficPolicy) string {
		if p == nil {
			p = &networking.TrafficPolicy{}
		}
		b, err := json.Marshal(p)
		if err != nil {
			return fmt.Sprint(p)
		}
		return string(b)
	}
	return text(a) == text(b)
}

// mergePolicy is what a DestinationRule of the subset alone must say to set what the rule and the subset set together,
// for each port; false when that cannot be said. Source: pilot/pkg/networking/util/util.go (MergeSubsetTrafficPolicy),
// pilot/pkg/model/destination_rule.go (MergeTrafficPolicy).
func mergePolicy(whole, subset *networking.TrafficPolicy, ports []api.ServicePort) (*networking.TrafficPolicy, bool) {
	if subset == nil {
		return whole, true
	}
	out := overlay(&networking.TrafficPolicy{}, whole, false)
	out = overlay(out, subset, false)
	for _, p := range ports {
		w, wp := forPort(whole, p.Port)
		s, sp := forPort(subset, p.Port)
		if !wp && !sp {
			continue
		}
		merged := overlay(&networking.TrafficPolicy{}, w, false)
		merged = overlay(merged, s, sp)
		if merged.Tunnel != nil || merged.ProxyProtocol != nil || merged.RetryBudget != nil {
			return nil, false
		}
		out.PortLevelSettings = append(out.PortLevelSettings, &networking.TrafficPolicy_PortTrafficPolicy{
			Port: &networking.PortSelector{Number: uint32(p.Port)}, LoadBalancer: merged.LoadBalancer, ConnectionPool: merged.ConnectionPool,
			OutlierDetection: merged.OutlierDetection, Tls: merged.Tls,
		})
	}
	return out, true
}

// overlay sets in to what is set in from; with all also to what is not.
func overlay(to, from *networking.TrafficPolicy, all bool) *networking.TrafficPolicy {
	if from == nil {
		return to
	}
	if from.ConnectionPool != nil || all {
		to.ConnectionPool = from.ConnectionPool
	}
	if from.OutlierDetection != nil || all {
		to.OutlierDetection = from.OutlierDetection
	}
	if from.LoadBalancer != nil || all {
		to.LoadBalancer = from.LoadBalancer
	}
	if from.Tls != nil || all {
		to.Tls = from.Tls
	}
	if from.Tunnel != nil {
		to.Tunnel = from.Tunnel
	}
	if from.ProxyProtocol != nil {
		to.ProxyProtocol = from.ProxyProtocol
	}
	if from.RetryBudget != nil {
		to.RetryBudget = from.RetryBudget
	}
	return to
}

// forPort is the policy for a port; the settings of a port take the place of all others.
func forPort(p *networking.TrafficPolicy, port int32) (*networking.TrafficPolicy, bool) {
	for _, s := range p.GetPortLevelSettings() {
		if s.GetPort() != nil && s.GetPort().GetNumber() == uint32(port) {
			return &networking.TrafficPolicy{ConnectionPool: s.ConnectionPool, LoadBalancer: s.LoadBalancer, OutlierDetection: s.OutlierDetection, Tls: s.Tls}, true
		}
	}
	return p, false
}

// versionObjects writes the version Services and their DestinationRules. They carry the labels of the original that
// choose a waypoint, so that both have the same one (facts C-50, M-22).
func (c *conversion) versionObjects() []api.Content {
	var out []api.Content
	for _, key := range slices.Sorted(maps.Keys(c.versions)) {
		v := c.versions[key]
		if !v.exists {
			out = c.write(out, v.object())
		}
		if v.withRule {
			out = c.write(out, v.destinationRule(c.names.rule(v), c.st.ClusterDomain()))
		}
	}
	return out
}

// stands lists the version Services of the host.
func (c *conversion) stands() []VersionService {
	var out []VersionService
	for _, key := range slices.Sorted(maps.Keys(c.versions)) {
		v := c.versions[key]
		of := v.service.Ref()
		own := of
		own.Name = v.name
		out = append(out, VersionService{Service: own, Of: of, Subset: v.subset})
	}
	return out
}

func (v *version) object() *corev1.Service {
	s := &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Name: v.name, Namespace: v.service.Namespace, Labels: map[string]string{translate.LabelManaged: translate.ManagedBy},
			Annotations: map[string]string{translate.AnnotationCopyOf: v.service.Namespace + "/" + v.service.Name},
		},
		Spec: corev1.ServiceSpec{Selector: v.selector, PublishNotReadyAddresses: v.service.PublishNotReady},
	}
	for _, k := range []string{"istio.io/use-waypoint", "istio.io/use-waypoint-namespace", "istio.io/ingress-use-waypoint"} {
		if l, ok := v.service.Labels[k]; ok {
			s.Labels[k] = l
		}
	}
	for _, k := range []string{"networking.istio.io/traffic-distribution", "networking.istio.io/exportTo"} {
		if a, ok := v.service.Annotations[k]; ok {
			s.Annotations[k] = a
		}
	}
	if v.service.TrafficDistribution != "" {
		s.Spec.TrafficDistribution = &v.service.TrafficDistribution
	}
	for _, p := range v.service.Ports {
		port := corev1.ServicePort{Name: p.Name, Port: p.Port, Protocol: corev1.Protocol(p.Transport), TargetPort: intstr.FromInt32(p.Port)}
		if p.TargetPort != "" {
			port.TargetPort = intstr.Parse(p.TargetPort)
		}
		if p.AppProtocol != "" {
			port.AppProtocol = &p.AppProtocol
		}
		s.Spec.Ports = append(s.Spec.Ports, port)
	}
	return s
}

// destinationRule writes the settings of the subset for its Service (facts C-51, L-33).
func (v *version) destinationRule(name, clusterDomain string) *destinationRule {
	spec := &networking.DestinationRule{
		Host:          v.name + "." + v.service.Namespace + ".svc." + clusterDomain,
		TrafficPolicy: v.policy, ExportTo: slices.Clone(v.exportTo),
	}
	return &destinationRule{
		TypeMeta: metav1.TypeMeta{APIVersion: "networking.istio.io/v1", Kind: "DestinationRule"},
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: v.service.Namespace, Labels: map[string]string{translate.LabelManaged: translate.ManagedBy},
			Annotations: map[string]string{translate.AnnotationCopyOf: v.rule.Namespace + "/" + v.rule.Name},
		},
		Spec: spec,
	}
}

// destinationRule is Istio's object without its client.
type destinationRule struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              *networking.DestinationRule `json:"spec"`
}
