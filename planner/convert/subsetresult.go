package convert

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// SubsetResult is what becomes of one subset of a DestinationRule (facts C-29, C-50, L-31).
type SubsetResult struct {
	// Rule and Path are where the subset is written, as in "spec.subsets[1]".
	Rule api.Ref
	Path string
	// Host is the full name that the rule is for, Subset the name of the subset.
	Host, Subset string
	// Class is Converted when only routes lead to it, through Service; Kept when a VirtualService that stays does; Dropped
	// when nothing leads to it.
	Class Class
	// Service that stands for it; empty when there is none.
	Service api.Ref
	// Why says who leads to it, or that nobody does.
	Why string
}

// subsetKey is a subset of a host.
type subsetKey struct{ host, subset string }

// subsets finds what becomes of each subset, from what is left of the VirtualServices. Rules that are for the mesh
// alone and converted are gone.
func subsets(st *mesh.State, r Result) []SubsetResult {
	services := map[subsetKey]api.Ref{}
	for _, h := range r.Hosts {
		for _, v := range h.Versions {
			services[subsetKey{st.ResolveHost(v.Of.Name, v.Of.Namespace), v.Subset}] = v.Service
		}
	}
	stays := map[subsetKey]api.Ref{}
	for _, v := range r.VirtualServices {
		for _, d := range destinations(v.Rest) {
			key := subsetKey{st.ResolveHost(d.GetHost(), v.Object.Namespace), d.GetSubset()}
			if _, ok := stays[key]; !ok {
				stays[key] = v.Object
			}
		}
	}
	var out []SubsetResult
	for _, rule := range st.DestinationRules() {
		host := st.ResolveHost(rule.Spec.GetHost(), rule.Namespace)
		for i, s := range rule.Spec.GetSubsets() {
			key := subsetKey{host, s.GetName()}
			one := SubsetResult{Rule: rule.Ref(), Path: fmt.Sprintf("spec.subsets[%d]", i), Host: host, Subset: s.GetName(), Service: services[key]}
			by, stay := stays[key]
			switch {
			case stay:
				one.Class, one.Why = Kept, by.String()+" stays and routes to it"
			case !one.Service.IsZero():
				one.Class, one.Why = Converted, one.Service.String()+" stands for it"
			default:
				one.Class, one.Why = Dropped, "nothing routes to it, so nothing is lost without it"
			}
			out = append(out, one)
		}
	}
	slices.SortFunc(out, func(a, b SubsetResult) int {
		return cmp.Or(a.Rule.Compare(b.Rule), cmp.Compare(a.Path, b.Path))
	})
	return out
}

// destinations that the rules of a VirtualService lead to, mirrors among them; none when it does not decode.
func destinations(c api.Content) []*networking.Destination {
	v := &networking.VirtualService{}
	b, err := json.Marshal(translate.Spec(c))
	if err != nil || json.Unmarshal(b, v) != nil {
		return nil
	}
	var out []*networking.Destination
	for _, r := range v.GetHttp() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
		out = append(out, r.GetMirror())
		for _, m := range r.GetMirrors() {
			out = append(out, m.GetDestination())
		}
	}
	for _, r := range v.GetTcp() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
	}
	for _, r := range v.GetTls() {
		for _, d := range r.GetRoute() {
			out = append(out, d.GetDestination())
		}
	}
	return slices.DeleteFunc(out, func(d *networking.Destination) bool { return d.GetSubset() == "" })
}
