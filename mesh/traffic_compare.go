package mesh

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TrafficChange is how two states differ for a call. The zero value is unset.
type TrafficChange int

// Changes.
const (
	TrafficUnset TrafficChange = iota
	// TrafficLost: something acted and does not act any more.
	TrafficLost
	// TrafficGained: something acts that did not.
	TrafficGained
	// TrafficChanged: it acts with another value, or in another order.
	TrafficChanged
	// TrafficUnknown: what acts is not known in one of the states.
	TrafficUnknown
)

// String is the change in words.
func (c TrafficChange) String() string {
	switch c {
	case TrafficLost:
		return "no longer applied"
	case TrafficGained:
		return "newly applied"
	case TrafficChanged:
		return "changed"
	case TrafficUnknown:
		return "unknown"
	case TrafficUnset:
	}
	return "unset"
}

// TrafficDiff is one difference in what acts on a call.
type TrafficDiff struct {
	Change TrafficChange
	// Object and Path are the rule; empty for an unknown.
	Object api.Ref
	Path   string
	// Feature and Value are what was lost, gained or changed; Was is the value before of what changed.
	Feature, Value, Was string
	// Requests says which requests are concerned: the condition of the rule, or "" for all.
	Requests string
	// Why says what the call meets now.
	Why string
	// Example is a request that fares otherwise, when the routers of both states tell of one; nil when they do not.
	Example *RouteDifference
}

// String is the difference as a sentence: "timeout 2s of spec.http[0] of VirtualService shop/orders no longer
// applied: ambient client, service has no waypoint".
func (d TrafficDiff) String() string {
	if d.Change == TrafficUnknown {
		return "what acts is not known: " + d.Why
	}
	var b strings.Builder
	b.WriteString(d.Feature)
	if d.Value != "" {
		b.WriteString(" " + d.Value)
	}
	fmt.Fprintf(&b, " of %s of %s %s", d.Path, d.Object, d.Change)
	if d.Was != "" {
		b.WriteString(" from " + d.Was)
	}
	if d.Requests != "" {
		b.WriteString(" for requests that match " + d.Requests)
	}
	return b.String() + ": " + d.Why
}

// CompareTraffic tells what two states do differently with one call. Rules are equal when they ask for the same, in
// the same order, whichever object and place they are in: a VirtualService that moved into the service's namespace, or
// that a waypoint applies instead of a sidecar, is no difference. An unknown on either side is one, unless both sides
// are the same in everything.
func CompareTraffic(before, after Acting) []TrafficDiff {
	return CompareTrafficWith(before, after, RouteOptions{StandsFor: standing(before, after)})
}

// CompareTrafficWith is CompareTraffic for a mesh in which Services stand for subsets: what leads to the one, and what
// DestinationRules say of it, is compared with the other. That the subset itself is no longer defined is no difference
// then.
func CompareTrafficWith(before, after Acting, opts RouteOptions) []TrafficDiff {
	var out []TrafficDiff
	if before.Where != PlaceUnset && sameActing(before, after) {
		return nil
	}
	for _, a := range []struct {
		when string
		Acting
	}{{"before", before}, {"now", after}} {
		why := a.Unknown
		if a.Then != nil {
			why = strings.Trim(why+"; "+a.Then.Unknown, "; ")
		}
		switch {
		case why != "":
			out = append(out, TrafficDiff{Change: TrafficUnknown, Why: a.when + ": " + why})
		case a.Where == PlaceUnset:
			out = append(out, TrafficDiff{Change: TrafficUnknown, Why: a.when + ": nobody said what acts"})
		}
	}
	if before.Where == PlaceUnset || after.Where == PlaceUnset {
		return out
	}
	gatewayBefore, meshBefore := before.hops()
	gatewayAfter, meshAfter := after.hops()
	for _, protocol := range []string{"http", "tcp", "tls"} {
		out = append(out, compareRoutes(ofProtocol(gatewayBefore, protocol), ofProtocol(gatewayAfter, protocol), after.Why)...)
		diffs := compareRoutes(ofProtocol(meshBefore, protocol), ofProtocol(meshAfter, protocol), after.Why)
		if protocol == "http" && len(diffs) > 0 {
			diffs = provenRoutes(diffs, before, after, opts)
		}
		out = append(out, diffs...)
	}
	return append(out, comparePolicies(before, after, opts.StandsFor)...)
}

// provenRoutes asks the routers for the mesh: when they are proven to do the same with every request, rules that read
// differently are no difference.
func provenRoutes(diffs []TrafficDiff, before, after Acting, opts RouteOptions) []TrafficDiff {
	_, was := before.hops()
	_, now := after.hops()
	if before.Unknown != "" || after.Unknown != "" || before.Then != nil && before.Then.Unknown != "" || after.Then != nil && after.Then.Unknown != "" {
		return diffs
	}
	a, why := CompileRoutes(ofProtocol(was, "http"), before.Call, opts)
	if why != "" {
		return diffs
	}
	b, why := CompileRoutes(ofProtocol(now, "http"), after.Call, opts)
	if why != "" {
		return diffs
	}
	opts.ConsistentHash = opts.ConsistentHash || before.hashes() || after.hashes()
	d, unknown := CompareRouters(a, b, opts)
	switch {
	case d == nil && unknown == "":
		return nil
	case d != nil:
		for i := range diffs {
			diffs[i].Example = d
		}
	}
	return diffs
}

// hashes tells whether a DestinationRule chooses endpoints by a hash of the request.
func (a Acting) hashes() bool {
	return slices.ContainsFunc(a.Policies, func(p Applied) bool {
		return slices.ContainsFunc(p.Features, func(f Feature) bool { return strings.Contains(f.Value, "consistentHash") })
	}) || a.Then != nil && a.Then.hashes()
}

// standing is which Services stand for subsets in either state: which endpoints they
// have does not change when the DestinationRule goes that named them a subset.
func standing(before, after Acting) map[string]RouteTarget {
	if len(after.StandsFor) == 0 {
		return before.StandsFor
	}
	out := maps.Clone(after.StandsFor)
	maps.Copy(out, before.StandsFor)
	return out
}

// endpointsOf is a destination, or that which it stands for. Its port stays: a port may have a policy of its own, and
// the one that is meant without any is left out where destinations are listed.
func endpointsOf(text string, stands map[string]RouteTarget) string {
	rest, subset, _ := strings.Cut(text, "/")
	host, port, _ := strings.Cut(rest, ":")
	if t, ok := stands[host]; ok && subset == "" {
		host, subset = t.Host, t.Subset
	}
	if port != "" {
		host += ":" + port
	}
	if subset != "" {
		host += "/" + subset
	}
	return host
}

// standIn tells whether a host and subset is reached by a Service that stands for it,
// and not by its own name.
func standIn(endpoints string, a Acting, stands map[string]RouteTarget) bool {
	list := a.Destinations
	if a.Then != nil {
		list = append(slices.Clone(list), a.Then.Destinations...)
	}
	named := func(h string) bool { return endpointsOf(h, nil) == endpoints }
	return !slices.ContainsFunc(list, named) && slices.ContainsFunc(list, func(h string) bool { return endpointsOf(h, stands) == endpoints })
}

// hops are the routes that a gateway applies and those for the mesh.
func (a Acting) hops() (gateway, mesh []Applied) {
	if a.Where != PlaceGateway {
		return nil, a.Routes
	}
	if a.Then != nil {
		mesh = a.Then.Routes
	}
	return a.Routes, mesh
}

func sameActing(a, b Acting) bool {
	same := a.Where == b.Where && a.Unknown == b.Unknown && slices.EqualFunc(a.Routes, b.Routes, sameApplied) &&
		slices.EqualFunc(a.Policies, b.Policies, sameApplied) && slices.Equal(a.Destinations, b.Destinations) && (a.Then == nil) == (b.Then == nil)
	return same && (a.Then == nil || sameActing(*a.Then, *b.Then))
}

func sameApplied(a, b Applied) bool {
	return compareApplied(a, b) == 0
}

func ofProtocol(list []Applied, protocol string) []Applied {
	var out []Applied
	for _, a := range list {
		if a.Protocol == protocol {
			out = append(out, a)
		}
	}
	return out
}

// compareRoutes compares two lists of rules of one protocol. An empty list is the default route, which asks for
// nothing.
func compareRoutes(before, after []Applied, why string) []TrafficDiff {
	if len(before) == 0 && len(after) == 0 {
		return nil
	}
	if len(before) == 0 {
		before = []Applied{{}}
	}
	if len(after) == 0 {
		after = []Applied{{}}
	}
	lost, gained := unmatched(before, after)
	var out []TrafficDiff
	for _, same := range []func(a, b Applied) bool{
		func(a, b Applied) bool { return slices.Equal(a.Features, b.Features) },
		func(a, b Applied) bool { return !a.Object.IsZero() && a.Object == b.Object && a.Path == b.Path },
		func(a, b Applied) bool { return a.feature("match") == b.feature("match") },
	} {
		for i := 0; i < len(lost); i++ {
			j := slices.IndexFunc(gained, func(g Applied) bool { return same(lost[i], g) })
			if j < 0 {
				continue
			}
			out = append(out, changedRule(lost[i], gained[j], why)...)
			lost, gained = slices.Delete(lost, i, i+1), slices.Delete(gained, j, j+1)
			i--
		}
	}
	for _, a := range lost {
		out = append(out, wholeRule(TrafficLost, a, why)...)
	}
	for _, a := range gained {
		out = append(out, wholeRule(TrafficGained, a, why)...)
	}
	return out
}

// unmatched are the rules of two lists that are not in their longest common part.
func unmatched(before, after []Applied) (lost, gained []Applied) {
	n, m := len(before), len(after)
	best := make([][]int, n+1)
	for i := range best {
		best[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if slices.Equal(before[i].Features, after[j].Features) {
				best[i][j] = best[i+1][j+1] + 1
			} else {
				best[i][j] = max(best[i+1][j], best[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < n && j < m {
		switch {
		case slices.Equal(before[i].Features, after[j].Features):
			i, j = i+1, j+1
		case best[i+1][j] >= best[i][j+1]:
			lost = append(lost, before[i])
			i++
		default:
			gained = append(gained, after[j])
			j++
		}
	}
	return append(lost, before[i:]...), append(gained, after[j:]...)
}

func (a Applied) feature(name string) string {
	for _, f := range a.Features {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// changedRule lists what two rules for the same requests do differently.
func changedRule(was, now Applied, why string) []TrafficDiff {
	if slices.Equal(was.Features, now.Features) {
		return []TrafficDiff{{Change: TrafficChanged, Object: now.Object, Path: now.Path, Feature: "order", Requests: now.feature("match"), Why: why}}
	}
	return compareFeatures(was, now, why)
}

func compareFeatures(was, now Applied, why string) []TrafficDiff {
	var out []TrafficDiff
	before, after := was.byName(), now.byName()
	names := slices.Sorted(maps.Keys(before))
	for n := range after {
		if _, ok := before[n]; !ok {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	for _, n := range names {
		a, had := before[n]
		b, has := after[n]
		switch {
		case had && !has:
			out = append(out, TrafficDiff{Change: TrafficLost, Object: was.Object, Path: was.Path, Feature: n, Value: a, Requests: was.requests(n), Why: why})
		case has && !had:
			out = append(out, TrafficDiff{Change: TrafficGained, Object: now.Object, Path: now.Path, Feature: n, Value: b, Requests: now.requests(n), Why: why})
		case a != b:
			out = append(out, TrafficDiff{Change: TrafficChanged, Object: now.Object, Path: now.Path, Feature: n, Value: b, Was: a, Requests: now.requests(n), Why: why})
		}
	}
	return out
}

// byName joins the values of features that a rule has several of.
func (a Applied) byName() map[string]string {
	out := map[string]string{}
	for _, f := range a.Features {
		if v, ok := out[f.Name]; ok {
			out[f.Name] = v + ", " + f.Value
			continue
		}
		out[f.Name] = f.Value
	}
	return out
}

func (a Applied) requests(feature string) string {
	if feature == "match" {
		return ""
	}
	return a.feature("match")
}

// wholeRule lists all that a rule asks for. The default route that stands for an empty list asks for nothing, but a
// request that no rule took before was answered with 404.
func wholeRule(change TrafficChange, a Applied, why string) []TrafficDiff {
	var out []TrafficDiff
	for _, f := range a.Features {
		if f.Name != "match" || len(a.Features) == 1 {
			out = append(out, TrafficDiff{Change: change, Object: a.Object, Path: a.Path, Feature: f.Name, Value: f.Value, Requests: a.requests(f.Name), Why: why})
		}
	}
	if len(a.Features) == 0 {
		out = append(out, TrafficDiff{Change: change, Object: a.Object, Path: a.Path, Feature: "route", Value: "to the service for all other requests", Why: why})
	}
	return out
}

// comparePolicies compares what DestinationRules set for the hosts that are reached in both states. What is set for a
// host that is reached in one of them only goes with the route that leads there.
func comparePolicies(before, after Acting, stands map[string]RouteTarget) []TrafficDiff {
	reached := map[string]bool{}
	for _, h := range after.reached(stands) {
		reached[h] = true
	}
	byHost := func(a Acting) map[string]Applied {
		out := map[string]Applied{}
		list := a.Policies
		if a.Then != nil {
			list = append(slices.Clone(list), a.Then.Policies...)
		}
		for _, p := range list {
			for _, f := range p.Features {
				k := endpointsOf(p.Host, stands) + " " + f.Name
				if _, ok := out[k]; !ok {
					out[k] = Applied{Object: p.Object, Path: p.Path, Features: []Feature{f}}
				}
			}
		}
		return out
	}
	was, now := byHost(before), byHost(after)
	var out []TrafficDiff
	for _, h := range before.reached(stands) {
		if !reached[h] {
			continue
		}
		keys := map[string]bool{}
		for _, m := range []map[string]Applied{was, now} {
			for k := range m {
				if strings.HasPrefix(k, h+" ") {
					keys[k] = true
				}
			}
		}
		if standIn(h, before, stands) || standIn(h, after, stands) {
			// A Service of its own is what the labels of the subset were.
			delete(keys, h+" subset")
		}
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			out = append(out, compareFeatures(was[k], now[k], after.Why)...)
		}
	}
	slices.SortStableFunc(out, func(a, b TrafficDiff) int {
		return cmp.Or(a.Object.Compare(b.Object), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Feature, b.Feature))
	})
	return out
}

// reached are the destinations on all hops, by their endpoints.
func (a Acting) reached(stands map[string]RouteTarget) []string {
	out := slices.Clone(a.Destinations)
	if a.Then != nil {
		out = append(out, a.Then.Destinations...)
	}
	for i, h := range out {
		out[i] = endpointsOf(h, stands)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
