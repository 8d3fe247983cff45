package mesh

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// HTTPRule is one HTTP rule of a VirtualService as istiod reads it: that of a delegate is merged with the rule that
// names the delegate.
type HTTPRule struct {
	// Object is where the rule is written: the VirtualService, or its delegate.
	Object *api.Object
	// Path of the rule in Object, as in "spec.http[2]".
	Path string
	// Namespace completes short host names in the rule: that of Object.
	Namespace string
	Spec      *networking.HTTPRoute
}

// HTTPRules lists the HTTP rules of a VirtualService with its delegates merged in, in order. The second result are
// the paths of the rules that istiod drops: their delegate does not exist, is not exported to the namespace, or
// matches what the rule does not. A rule that does not decode is an error.
// Source: pilot/pkg/model/virtualservice.go (mergeVirtualServicesIfNeeded, mergeHTTPRoutes).
func (s *State) HTTPRules(v Typed[*networking.VirtualService]) (rules []HTTPRule, dropped []string, err error) {
	s.saw(KindVirtualService)
	x := s.ix.traffic()
	for i, raw := range listAt(v.Content, "spec", "http") {
		rule, _ := raw.(map[string]any)
		path := fmt.Sprintf("spec.http[%d]", i)
		merged := x.mergedRules(v.Object, rule, i)
		if len(merged) == 0 {
			dropped = append(dropped, path)
		}
		for _, m := range merged {
			spec := &networking.HTTPRoute{}
			b, err := json.Marshal(m.rule)
			if err == nil {
				err = json.Unmarshal(b, spec)
			}
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %s: %w", m.object.Ref(), m.path, err)
			}
			rules = append(rules, HTTPRule{Object: m.object, Path: m.path, Namespace: m.namespace, Spec: spec})
		}
	}
	return rules, dropped, nil
}

// DestinationSettings is what the DestinationRules that a proxy reads set for a host.
type DestinationSettings struct {
	// Rules are the DestinationRules that take part, in order of reference; none means that nothing is set.
	Rules []api.Ref
	// Policy of the host as a whole; nil when there is none.
	Policy *networking.TrafficPolicy
	// Subsets by name.
	Subsets map[string]DestinationSubset
	// ExportTo as written.
	ExportTo []string
}

// DestinationSubset is a subset and the DestinationRule that brought it.
type DestinationSubset struct {
	Rule api.Ref
	Path string
	Spec *networking.Subset
}

// DestinationSettingsAt are the settings for a host at a waypoint of a namespace: of the DestinationRules of the
// waypoint's namespace, else of those exported from the service's namespace, else from the root namespace; rules with
// a workloadSelector do not hold at a waypoint (facts L-33). An error names what does not decode.
// Source: pilot/pkg/model/push_context.go (destinationRule).
func (s *State) DestinationSettingsAt(waypointNamespace, host, serviceNamespace string) (DestinationSettings, error) {
	s.saw(KindDestinationRule)
	out := DestinationSettings{Subsets: map[string]DestinationSubset{}}
	g := pickAtWaypoint(s.ix.traffic().destinationRules(waypointNamespace, strings.ToLower(host), serviceNamespace))
	if g == nil {
		return out, nil
	}
	out.ExportTo = slices.Clone(g.export)
	rules := map[api.Ref]bool{}
	if g.policy != nil {
		rules[g.policy.Ref()] = true
		policy, _ := mapAt(g.policy.Content, "spec", "trafficPolicy")
		out.Policy = &networking.TrafficPolicy{}
		if err := decodeInto(policy, out.Policy); err != nil {
			return out, fmt.Errorf("%s: spec.trafficPolicy: %w", g.policy.Ref(), err)
		}
	}
	for name, sub := range g.subsets {
		spec := &networking.Subset{}
		if err := decodeInto(sub.spec, spec); err != nil {
			return out, fmt.Errorf("%s: %s: %w", sub.object.Ref(), sub.path, err)
		}
		rules[sub.object.Ref()] = true
		out.Subsets[name] = DestinationSubset{Rule: sub.object.Ref(), Path: sub.path, Spec: spec}
	}
	for r := range rules {
		out.Rules = append(out.Rules, r)
	}
	slices.SortFunc(out.Rules, api.Ref.Compare)
	return out, nil
}

func decodeInto(from map[string]any, to any) error {
	b, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, to)
}

// Host is the name under which proxies know a Service: its full DNS name.
func (s *State) Host(svc *api.Service) string { return s.serviceHost(svc) }

// ResolveHost completes a host as istiod does: a name without a dot is a Service of the namespace that it is written
// in; "*" and addresses stay as they are (facts L-30).
func (s *State) ResolveHost(host, namespace string) string {
	return strings.ToLower(s.ix.resolveHost(host, namespace))
}

// VirtualServiceExport is where a VirtualService may be read, with "." and the mesh's default spelled out: "*" for
// everywhere, else namespaces.
func (s *State) VirtualServiceExport(v Typed[*networking.VirtualService]) []string {
	return exportSet(v.Spec.GetExportTo(), s.ix.traffic().vsExport, v.Namespace)
}

// OlderFirst compares objects by istiod's order: creation time, name, namespace.
func OlderFirst(a, b *api.Object) int { return compareAge(a, b) }

// Dated tells whether the creation time of an object is known.
func Dated(o *api.Object) bool {
	_, ok := created(o)
	return ok
}

// UnknownField is the first field of a VirtualService that its type does not have, as in "http.maxRetries"; "" when it
// has all. An API server drops such a field, and a manifest that has one means something else than it says.
func UnknownField(o *api.Object) string {
	spec, _ := mapAt(o.Content, "spec")
	return unknownField(spec, (&networking.VirtualService{}).ProtoReflect().Descriptor())
}
