package mesh

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// destinationIndex holds the DestinationRules as istiod merges them. Source: pilot/pkg/model/push_context.go
// (setDestinationRules) and destination_rule.go (mergeDestinationRule).
type destinationIndex struct {
	// local are all rules of a namespace that hold in it, exported those that others may see, root the private ones
	// of the root namespace.
	local, exported map[string]*destinationHosts
	root            *destinationHosts
	rootNamespace   string
}

// destinationHosts are merged rules by host; wildcards are apart, the longest first.
type destinationHosts struct {
	byHost   map[string][]*destinationGroup
	wildcard []string
}

// destinationGroup is one or several DestinationRules merged.
type destinationGroup struct {
	namespace string
	// export as written; empty means the default of the mesh, which is everybody.
	export   []string
	selector map[string]string
	selected bool
	// policy is the object whose spec.trafficPolicy holds.
	policy *api.Object
	// subsets by name, each of the object that brought it.
	subsets map[string]subsetOf
}

type subsetOf struct {
	object *api.Object
	path   string
	spec   map[string]any
}

func newDestinationIndex(ix *index, defaults []string) destinationIndex {
	x := destinationIndex{local: map[string]*destinationHosts{}, exported: map[string]*destinationHosts{}, root: newDestinationHosts(), rootNamespace: ix.rootNamespace}
	rules := slices.Clone(ix.destination)
	slices.SortStableFunc(rules, func(a, b Typed[*networking.DestinationRule]) int {
		if sa, sb := a.Spec.GetWorkloadSelector() != nil, b.Spec.GetWorkloadSelector() != nil; sa != sb {
			if sa {
				return -1
			}
			return 1
		}
		return compareAge(a.Object, b.Object)
	})
	for _, r := range rules {
		host := ix.resolveHost(r.Spec.GetHost(), r.Namespace)
		export := slices.Compact(slices.Sorted(slices.Values(r.Spec.GetExportTo())))
		if r.Spec.GetWorkloadSelector() != nil {
			export = []string{"."}
		}
		if len(export) == 0 || slices.Contains(export, "*") || slices.Contains(export, ".") || slices.Contains(export, r.Namespace) {
			hostsOf(x.local, r.Namespace).merge(host, r, export)
		}
		only := len(export) == 0 && slices.Contains(defaults, ".") || len(export) == 1 && (export[0] == "." || export[0] == r.Namespace)
		switch {
		case !only:
			hostsOf(x.exported, r.Namespace).merge(host, r, export)
		case r.Namespace == ix.rootNamespace:
			x.root.merge(host, r, export)
		}
	}
	return x
}

func newDestinationHosts() *destinationHosts {
	return &destinationHosts{byHost: map[string][]*destinationGroup{}}
}

func hostsOf(m map[string]*destinationHosts, namespace string) *destinationHosts {
	if m[namespace] == nil {
		m[namespace] = newDestinationHosts()
	}
	return m[namespace]
}

// merge adds a rule to those of its host: rules with the same exportTo and selector become one, which keeps the first
// traffic policy and the first subset of a name.
func (h *destinationHosts) merge(host string, r Typed[*networking.DestinationRule], export []string) {
	list, known := h.byHost[host]
	if !known && isWildcard(host) {
		h.wildcard = append(h.wildcard, host)
		slices.SortFunc(h.wildcard, func(a, b string) int {
			if len(a) != len(b) {
				return len(b) - len(a)
			}
			return strings.Compare(a, b)
		})
	}
	selector, selected := r.Spec.GetWorkloadSelector().GetMatchLabels(), r.Spec.GetWorkloadSelector() != nil
	apart := true
	for _, g := range list {
		switch {
		case slices.Equal(export, g.export):
			apart = false
		case len(g.export) > 0 && !slices.ContainsFunc(g.export, func(e string) bool { return !slices.Contains(export, e) }):
			apart = true
		default:
			apart = true
			continue
		}
		same := maps.Equal(selector, g.selector)
		if selected && g.selected && !same {
			apart = true
			continue
		}
		if selected == g.selected {
			apart = false
		}
		g.add(r)
	}
	if apart {
		g := &destinationGroup{namespace: r.Namespace, export: export, selector: selector, selected: selected, subsets: map[string]subsetOf{}}
		g.add(r)
		h.byHost[host] = append(list, g)
	}
}

func (g *destinationGroup) add(r Typed[*networking.DestinationRule]) {
	if g.policy == nil && r.Spec.GetTrafficPolicy() != nil {
		g.policy = r.Object
	}
	for i, raw := range listAt(r.Content, "spec", "subsets") {
		m, _ := raw.(map[string]any)
		if _, ok := g.subsets[textOf(m["name"])]; !ok {
			g.subsets[textOf(m["name"])] = subsetOf{r.Object, fmt.Sprintf("spec.subsets[%d]", i), m}
		}
	}
}

// find the rules of the most specific host (MostSpecificHostMatch).
func (h *destinationHosts) find(host string) []*destinationGroup {
	if h == nil {
		return nil
	}
	if g, ok := h.byHost[host]; ok {
		return g
	}
	needle := strings.TrimPrefix(host, "*")
	for _, w := range h.wildcard {
		if strings.HasSuffix(needle, w[1:]) {
			return h.byHost[w]
		}
	}
	return nil
}

// destinationRules are the merged rules that a proxy of a namespace reads for a host: those of its own namespace, else
// the exported ones of the service's, else the exported ones of the root namespace (push_context.go, destinationRule;
// facts L-33).
func (x *trafficIndex) destinationRules(proxy, host, service string) []*destinationGroup {
	r := &x.rules
	if proxy != r.rootNamespace {
		if g := r.local[proxy].find(host); g != nil {
			return g
		}
	} else if g := r.root.find(host); g != nil {
		return g
	}
	for _, ns := range []string{service, r.rootNamespace} {
		var out []*destinationGroup
		for _, g := range r.exported[ns].find(host) {
			if len(g.export) == 0 || slices.Contains(g.export, "*") || slices.Contains(g.export, proxy) {
				out = append(out, g)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// pickAtSidecar picks the rule for the pods of a client: one of its namespace whose selector matches, else the last
// without selector (pilot/pkg/model/sidecar.go, DestinationRule).
func pickAtSidecar(gs []*destinationGroup, namespace string, labels map[string]string) *destinationGroup {
	for _, g := range gs {
		if g.selected && g.namespace == namespace && Selects(g.selector, labels) {
			return g
		}
	}
	return pickAtWaypoint(gs)
}

// pickAtWaypoint picks the last rule without selector: a waypoint does not look at selectors.
func pickAtWaypoint(gs []*destinationGroup) *destinationGroup {
	for _, g := range slices.Backward(gs) {
		if !g.selected {
			return g
		}
	}
	return nil
}

// settings are what a merged rule sets for a destination.
func (g *destinationGroup) settings(d destination, port int32) []Applied {
	var out []Applied
	host := d.String()
	policy, object, path := map[string]any{}, g.policy, "spec.trafficPolicy"
	if g.policy != nil {
		top, _ := mapAt(g.policy.Content, "spec", "trafficPolicy")
		policy, path, _ = portLevel(top, port, path)
	}
	if d.subset == "" {
		if fs := policyFeatures(policy); object != nil && len(fs) > 0 {
			out = append(out, Applied{Object: object.Ref(), Path: path, Host: host, Features: fs})
		}
		return out
	}
	sub, ok := g.subsets[d.subset]
	if !ok {
		return nil
	}
	out = append(out, Applied{Object: sub.object.Ref(), Path: sub.path, Host: host, Features: []Feature{{"subset", compact(sub.spec["labels"])}}})
	own, has := sub.spec["trafficPolicy"].(map[string]any)
	if !has {
		if fs := policyFeatures(policy); object != nil && len(fs) > 0 {
			out = append(out, Applied{Object: object.Ref(), Path: path, Host: host, Features: fs})
		}
		return out
	}
	own, ownPath, levelled := portLevel(own, port, sub.path+".trafficPolicy")
	// The subset's settings replace those of the rule one by one; those of a port replace all that a port can have.
	rest := without(policy, slices.Collect(maps.Keys(own))...)
	if levelled {
		rest = without(rest, "connectionPool", "outlierDetection", "loadBalancer", "tls")
	}
	if fs := policyFeatures(rest); object != nil && len(fs) > 0 {
		out = append(out, Applied{Object: object.Ref(), Path: path, Host: host, Features: fs})
	}
	if fs := policyFeatures(own); len(fs) > 0 {
		out = append(out, Applied{Object: sub.object.Ref(), Path: ownPath, Host: host, Features: fs})
	}
	return out
}

// portLevel is the policy for a port: settings of the port replace those of the rule as a whole
// (pilot/pkg/networking/util/util.go, GetPortLevelTrafficPolicy).
func portLevel(policy map[string]any, port int32, path string) (map[string]any, string, bool) {
	for i, raw := range listAt(policy, "portLevelSettings") {
		m, _ := raw.(map[string]any)
		p, _ := m["port"].(map[string]any)
		if intOf(p["number"]) == port {
			return without(m, "port"), fmt.Sprintf("%s.portLevelSettings[%d]", path, i), true
		}
	}
	return without(policy, "portLevelSettings"), path, false
}

// policyFeatures are the settings of a traffic policy. Mutual TLS of Istio's own is no setting here: ambient mode has it
// always, and DISABLE cannot be had there (rule L33 reports it).
func policyFeatures(policy map[string]any) []Feature {
	var out []Feature
	for _, k := range slices.Sorted(maps.Keys(policy)) {
		v := policy[k]
		m, isMap := v.(map[string]any)
		if v == nil || isMap && len(m) == 0 {
			continue
		}
		if mode := textOf(m["mode"]); k == "tls" && mode != "SIMPLE" && mode != "MUTUAL" {
			continue
		}
		out = append(out, Feature{k, compact(v)})
	}
	return out
}

// withoutZones drops loadBalancer.zoneAwareLbSetting, which is for sidecars only (facts L-33).
func withoutZones(fs []Feature) []Feature {
	var out []Feature
	for _, f := range fs {
		var lb map[string]any
		if f.Name == "loadBalancer" && json.Unmarshal([]byte(f.Value), &lb) == nil && lb["zoneAwareLbSetting"] != nil {
			delete(lb, "zoneAwareLbSetting")
			if len(lb) == 0 {
				continue
			}
			f.Value = compact(lb)
		}
		out = append(out, f)
	}
	return out
}
