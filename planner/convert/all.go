package convert

import (
	"maps"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// All converts the VirtualServices of a mesh, each in exactly one class. Those of one host are converted together or
// not at all; of a VirtualService with several hosts some may be.
func All(st *mesh.State, c Cluster) Result {
	all := st.VirtualServices()
	byHost, delegates := hosts(st, all)
	n := newNames(st)
	results := map[string]*HostResult{}
	for _, h := range slices.Sorted(maps.Keys(byHost)) {
		r := n.host(st, c, h, byHost[h])
		results[h] = &r
	}
	together(st, all, results)
	var out Result
	for _, h := range slices.Sorted(maps.Keys(results)) {
		out.Hosts = append(out.Hosts, *results[h])
	}
	left := map[api.Ref]bool{}
	for _, v := range all {
		if len(v.Spec.GetHosts()) > 0 {
			r := one(st, v, results)
			left[r.Object] = r.Rest != nil
			out.VirtualServices = append(out.VirtualServices, r)
		}
	}
	for _, v := range all {
		if len(v.Spec.GetHosts()) == 0 {
			out.VirtualServices = append(out.VirtualServices, delegateResult(v, delegates[v.Namespace+"/"+v.Name], left))
		}
	}
	decoded := map[*api.Object]bool{}
	for _, v := range all {
		decoded[v.Object] = true
	}
	for _, o := range st.Objects(mesh.KindVirtualService) {
		if !decoded[o] {
			out.VirtualServices = append(out.VirtualServices, VirtualServiceResult{Object: o.Ref(), Class: Blocked, Rest: translate.Stored(o),
				Why: []Reason{{Object: o.Ref(), Path: "spec", Fact: "L-30", Text: "it does not fit the type of its kind", Remedy: refused}}})
		}
	}
	slices.SortFunc(out.VirtualServices, func(a, b VirtualServiceResult) int { return a.Object.Compare(b.Object) })
	out.Subsets = subsets(st, out)
	return out
}

// forMesh tells whether a VirtualService is read for mesh traffic.
func forMesh(v *networking.VirtualService) bool {
	return len(v.GetGateways()) == 0 || slices.Contains(v.GetGateways(), "mesh")
}

// forGateways tells whether it is also read by gateways.
func forGateways(v *networking.VirtualService) bool {
	return slices.ContainsFunc(v.GetGateways(), func(g string) bool { return g != "mesh" })
}

// hosts lists the VirtualServices of each host, oldest first, and those that delegate to others, by the name of the
// delegate. One with a wildcard is also among those of each host that it fits.
func hosts(st *mesh.State, all []mesh.Typed[*networking.VirtualService]) (map[string][]mesh.Typed[*networking.VirtualService], map[string][]api.Ref) {
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b mesh.Typed[*networking.VirtualService]) int { return mesh.OlderFirst(a.Object, b.Object) })
	byHost := map[string][]mesh.Typed[*networking.VirtualService]{}
	delegates := map[string][]api.Ref{}
	for _, v := range sorted {
		for _, r := range v.Spec.GetHttp() {
			if d := r.GetDelegate(); d != nil {
				ns := d.GetNamespace()
				if ns == "" {
					ns = v.Namespace
				}
				delegates[ns+"/"+d.GetName()] = append(delegates[ns+"/"+d.GetName()], v.Ref())
			}
		}
		if !forMesh(v.Spec) {
			continue
		}
		for _, h := range v.Spec.GetHosts() {
			host := st.ResolveHost(h, v.Namespace)
			if list := byHost[host]; len(list) == 0 || list[len(list)-1].Object != v.Object {
				byHost[host] = append(list, v)
			}
		}
	}
	wild := slices.DeleteFunc(sorted, func(v mesh.Typed[*networking.VirtualService]) bool {
		return !forMesh(v.Spec) || !slices.ContainsFunc(v.Spec.GetHosts(), func(h string) bool { return strings.HasPrefix(h, "*") })
	})
	for h, list := range byHost {
		for _, v := range wild {
			named := slices.ContainsFunc(list, func(o mesh.Typed[*networking.VirtualService]) bool { return o.Object == v.Object })
			if !named && slices.ContainsFunc(v.Spec.GetHosts(), func(w string) bool { return fits(st.ResolveHost(w, v.Namespace), h) }) {
				byHost[h] = append(byHost[h], v)
			}
		}
		slices.SortStableFunc(byHost[h], func(a, b mesh.Typed[*networking.VirtualService]) int { return mesh.OlderFirst(a.Object, b.Object) })
	}
	return byHost, delegates
}

// fits tells whether a host, possibly a wildcard, is or covers another.
func fits(wide, host string) bool {
	return wide == host || strings.HasPrefix(wide, "*") && !strings.HasPrefix(host, "*") && strings.HasSuffix(host, wide[1:])
}

// together keeps hosts whose VirtualService would have to be for gateways with one list of hosts and for the mesh with
// another, which one object cannot be; until nothing changes.
func together(st *mesh.State, all []mesh.Typed[*networking.VirtualService], results map[string]*HostResult) {
	for changed := true; changed; {
		changed = false
		for _, v := range all {
			if !forMesh(v.Spec) || !forGateways(v.Spec) {
				continue
			}
			some, every := false, true
			for _, h := range v.Spec.GetHosts() {
				converted := results[st.ResolveHost(h, v.Namespace)].Class == Converted
				some, every = some || converted, every && converted
			}
			if !some || every {
				continue
			}
			for _, h := range v.Spec.GetHosts() {
				if r := results[st.ResolveHost(h, v.Namespace)]; r.Class == Converted {
					r.Class, r.Objects, r.Versions, changed = Kept, nil, nil, true
					r.Why = append(r.Why, Reason{Object: v.Ref(), Path: "spec.gateways", Fact: "C-12",
						Text: "it is for gateways too, and another of its hosts stays: one object cannot be for other hosts at gateways than in the mesh"})
				}
			}
		}
	}
}

// one is what becomes of a VirtualService, from what became of its hosts.
func one(st *mesh.State, v mesh.Typed[*networking.VirtualService], results map[string]*HostResult) VirtualServiceResult {
	out := VirtualServiceResult{Object: v.Ref(), Class: Converted, Rest: translate.Stored(v.Object)}
	if !forMesh(v.Spec) {
		out.Class = Kept
		out.Why = []Reason{{Object: v.Ref(), Path: "spec.gateways", Fact: "L-32", Text: "it is for gateways only, which the migration does not touch"}}
		for _, h := range v.Spec.GetHosts() {
			out.Others = append(out.Others, st.ResolveHost(h, v.Namespace))
		}
		return out
	}
	var stay []any
	for _, h := range v.Spec.GetHosts() {
		r := results[st.ResolveHost(h, v.Namespace)]
		out.Class = max(out.Class, r.Class)
		out.Why = append(out.Why, r.Why...)
		out.Dropped = append(out.Dropped, r.Dropped...)
		if r.Class == Converted {
			out.Hosts = append(out.Hosts, r.Host)
		} else {
			out.Others = append(out.Others, r.Host)
			stay = append(stay, h)
		}
	}
	out.Why, out.Dropped = tidy(out.Why), tidy(out.Dropped)
	out.Hosts, out.Others = slices.Compact(slices.Sorted(slices.Values(out.Hosts))), slices.Compact(slices.Sorted(slices.Values(out.Others)))
	switch {
	case len(out.Hosts) == 0:
	case len(out.Others) > 0:
		translate.Spec(out.Rest)["hosts"] = stay
	case forGateways(v.Spec):
		out.Rest = withoutMesh(out.Rest)
	default:
		out.Rest = nil
	}
	return out
}

// withoutMesh is a VirtualService without its part for the mesh; nil when nothing else is left.
func withoutMesh(c api.Content) api.Content {
	spec := translate.Spec(c)
	gateways, _ := spec["gateways"].([]any)
	spec["gateways"] = slices.DeleteFunc(slices.Clone(gateways), func(g any) bool { return g == "mesh" })
	left := 0
	for _, key := range []string{"http", "tls", "tcp"} {
		rules, ok := spec[key].([]any)
		if !ok {
			continue
		}
		var kept []any
		for _, raw := range rules {
			if r, ok := raw.(map[string]any); ok {
				if !ruleWithoutMesh(r) {
					continue
				}
			}
			kept = append(kept, raw)
		}
		left += len(kept)
		if len(kept) == 0 {
			delete(spec, key)
			continue
		}
		spec[key] = kept
	}
	if left == 0 {
		return nil
	}
	return c
}

// ruleWithoutMesh takes the matches for the mesh alone out of a rule; false when it had no others.
func ruleWithoutMesh(r map[string]any) bool {
	matches, _ := r["match"].([]any)
	if len(matches) == 0 {
		return true
	}
	kept := slices.DeleteFunc(slices.Clone(matches), func(raw any) bool {
		m, _ := raw.(map[string]any)
		g, _ := m["gateways"].([]any)
		return len(g) > 0 && !slices.ContainsFunc(g, func(name any) bool { return name != "mesh" })
	})
	r["match"] = kept
	return len(kept) > 0
}

// delegateResult is what becomes of a VirtualService without hosts: it goes when all that delegate to it go.
func delegateResult(v mesh.Typed[*networking.VirtualService], roots []api.Ref, left map[api.Ref]bool) VirtualServiceResult {
	out := VirtualServiceResult{Object: v.Ref(), Class: Converted}
	if len(roots) == 0 {
		out.Class, out.Rest = Kept, translate.Stored(v.Object)
		out.Why = []Reason{{Object: v.Ref(), Path: "spec.hosts", Fact: "C-46", Text: "it has no hosts and nothing delegates to it, so it has no effect"}}
		return out
	}
	for _, r := range roots {
		if left[r] {
			out.Class, out.Rest = Kept, translate.Stored(v.Object)
			out.Why = append(out.Why, Reason{Object: v.Ref(), Path: "spec.hosts", Fact: "C-46", Text: r.String() + " delegates to it and stays"})
		}
	}
	out.Why = tidy(out.Why)
	return out
}
