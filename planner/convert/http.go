package convert

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	sjson "sigs.k8s.io/json"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// Limits of one HTTPRoute (facts C-03).
const (
	maxRules        = 16
	maxRouteMatches = 128
)

// http converts the HTTP rules. Rules of several VirtualServices follow one another, the oldest first (facts L-30).
func (c *conversion) http(vs []mesh.Typed[*networking.VirtualService]) []api.Content {
	var rules []*rule
	for _, v := range vs {
		merged, dropped, err := c.st.HTTPRules(v)
		if err != nil {
			c.block(v.Object, "spec.http", "C-46", err.Error(), refused)
		}
		for _, path := range dropped {
			c.block(v.Object, path+".delegate", "C-46", "the delegate does not exist, is not exported to the namespace, or matches nothing that the rule matches, so istiod drops the rule",
				"correct the delegate, or remove the rule")
		}
		for _, m := range merged {
			if m.Object != v.Object {
				c.unknownField(m.Object)
			}
			rules = append(rules, &rule{HTTPRule: m, virtualService: v.Object})
		}
	}
	if len(rules) == 0 {
		return nil
	}
	ports := c.target.httpPorts()
	if len(ports) == 0 {
		c.block(rules[0].Object, rules[0].Path, "C-23", fmt.Sprintf("no port of %s is for HTTP, so the rules have no effect", c.target.ref), "name the port's protocol, or remove the rules")
		return nil
	}
	written := c.read(rules)
	c.conflicts(written)
	if c.class() == Blocked {
		// The actions are looked at all the same, so that every finding is made at once.
		for _, r := range rules {
			c.action(r, variant{}, ports[0])
		}
		return nil
	}
	lists := make([][]gwv1.HTTPRouteRule, len(ports))
	objects := make([][][]gwv1.HTTPRouteRule, len(ports))
	for i, port := range ports {
		objects[i] = c.onPort(written, port)
		for _, o := range objects[i] {
			lists[i] = append(lists[i], o...)
		}
	}
	if c.class() != Converted {
		return nil
	}
	if same(lists) {
		ports, objects = []int32{0}, objects[:1]
	} else if !c.cluster.parentPort() {
		c.notes.keep(rules[0].Object, "spec.http", "C-23", "the rules are not the same for every port, and a route for one port needs HTTPRoute of the Gateway API 1.1 or later, which is not known to be installed")
		return nil
	}
	grpc := c.onlyGRPC(objects)
	var out []api.Content
	for i, port := range ports {
		for n, o := range objects[i] {
			if grpc {
				out = c.write(out, c.grpcRoute(o, port, n))
			} else {
				out = c.write(out, c.httpRoute(o, port, n))
			}
		}
	}
	return out
}

// written is an entry and the port that it is for; 0 for all.
type written struct {
	*entry
	port uint32
	// last: istiod reads nothing of this VirtualService behind the entry, on its port.
	last bool
}

// read turns the rules into entries, in order.
func (c *conversion) read(rules []*rule) []written {
	var out []written
	for _, r := range rules {
		for j, m := range matchesOf(r.HTTPRule) {
			reader := matchReader{c.notes, r.Object, fmt.Sprintf("%s.match[%d]", r.Path, j)}
			if m == nil {
				reader.path = r.Path
			}
			if !meshMatch(m.GetGateways()) {
				reader.drop("gateways", "C-27", "it is for gateways only, and stays in the VirtualService for them")
				continue
			}
			conds := []condition{{path: text{kind: hasPrefix, value: "/"}}}
			if m != nil {
				conds = reader.conditions(m)
			}
			v, f, fixed := reader.variantOf(r.Spec, m)
			for _, cond := range conds {
				e := &entry{condition: cond, rule: r, variant: v, form: f, fixed: fixed}
				if f == plain {
					e.form = natural(cond.path)
				}
				if p := int32(m.GetPort()); p != 0 && !slices.Contains(c.target.httpPorts(), p) {
					reader.drop("port", "C-23", fmt.Sprintf("%s has no port %d for HTTP, so it never holds", c.target.ref, p))
				}
				out = append(out, written{e, m.GetPort(), cond.everything()})
			}
		}
	}
	return out
}

// conflicts blocks a host with several VirtualServices whose rules meet where their meaning is not the same for all:
// sidecars apply only the oldest one, waypoints one after the other; and where it is not known which is the oldest
// (facts C-01, L-30).
func (c *conversion) conflicts(list []written) {
	for i, a := range list {
		for _, b := range list[i+1:] {
			older, younger := a.rule.virtualService, b.rule.virtualService
			if older == younger || a.port != 0 && b.port != 0 && a.port != b.port {
				continue
			}
			if !a.disjoint(b.condition) && (!mesh.Dated(older) || !mesh.Dated(younger)) {
				c.block(younger, "metadata.creationTimestamp", "L-30",
					fmt.Sprintf("a request can fit rules of %s and of %s; the older comes first, and it is not known which that is", older.Ref(), younger.Ref()),
					"read the inventory from the cluster, or make one VirtualService of them")
				return
			}
		}
	}
	for _, port := range c.target.httpPorts() {
		var oldest *api.Object
		for _, w := range list {
			if w.port != 0 && w.port != uint32(port) {
				continue
			}
			if oldest == nil {
				oldest = w.rule.virtualService
			}
			if w.rule.virtualService == oldest && w.last {
				break
			}
			if w.rule.virtualService != oldest {
				c.block(w.rule.virtualService, "spec.hosts", "C-01",
					fmt.Sprintf("%s is for the same host and older: sidecars apply only that one, and answer 404 where it has no rule; a waypoint goes on to this one", oldest.Ref()),
					"make one VirtualService of them, or remove the one that nobody applies")
				return
			}
		}
	}
}

// onPort are the rules for requests to one port, by route object.
func (c *conversion) onPort(all []written, port int32) [][]gwv1.HTTPRouteRule {
	var list []*entry
	done := map[*api.Object]bool{}
	for _, w := range all {
		if w.port != 0 && w.port != uint32(port) || done[w.rule.virtualService] {
			continue
		}
		e := *w.entry
		list = append(list, &e)
		done[w.rule.virtualService] = w.last
	}
	if len(list) == 0 {
		return nil
	}
	list, dead := reachable(list)
	for _, e := range dead {
		c.drop(e.rule.Object, e.rule.Path, "C-02", "a match of it is never reached: an earlier rule takes all of its requests")
	}
	list, stuck := pinned(list)
	if stuck != nil {
		c.notes.keep(stuck.rule.Object, stuck.rule.Path+".rewrite.uri", "C-34",
			fmt.Sprintf("a route would also rewrite the path %q, which no other rule catches", strings.TrimSuffix(stuck.path.value, "/")))
		return nil
	}
	groups := group(list, c.cluster.ruleMatches(c.target.allGRPC()))
	if ok, first, second := order(list); !ok {
		c.notes.keep(second.rule.Object, second.rule.Path, "C-02",
			fmt.Sprintf("it comes after %s of %s in the VirtualService and before it in the order of routes, and a request can fit both", first.rule.Path, first.rule.Object.Ref()))
		return nil
	}
	if !inOrder(list) {
		c.notes.keep(list[0].rule.Object, "spec.http", "C-02", "no order of routes was found that is the written one")
		return nil
	}
	for _, e := range list {
		if len(*e.pathMatch().Value) > maxPath {
			c.notes.keep(e.rule.Object, e.rule.Path, "C-16", fmt.Sprintf("a path needs more than the %d characters that a route takes", maxPath))
			return nil
		}
	}
	var out [][]gwv1.HTTPRouteRule
	for _, g := range groups {
		r := c.action(g[0].rule, g[0].variant, port)
		for _, e := range g {
			m := gwv1.HTTPRouteMatch{Path: e.pathMatch(), Headers: headerMatches(e.headers), QueryParams: queryMatches(e.queries)}
			if e.method != "" {
				method := gwv1.HTTPMethod(e.method)
				m.Method = &method
			}
			r.Matches = append(r.Matches, m)
		}
		for len(out) <= g[0].object {
			out = append(out, nil)
		}
		out[g[0].object] = append(out[g[0].object], r)
	}
	return out
}

// group puts entries that follow one another and do the same into one rule, and rules into route objects, within the
// limits of the API. A change of a prefix needs a rule of its own.
func group(list []*entry, ruleMatches int) [][]*entry {
	var groups [][]*entry
	object, rules, matches := 0, 0, 0
	for i, e := range list {
		if i > 0 && rules > 0 && matches < maxRouteMatches {
			last := groups[len(groups)-1]
			if p := last[0]; p.rule == e.rule && p.variant == e.variant && !p.prefixed() && len(last) < ruleMatches {
				e.object = object
				groups[len(groups)-1] = append(last, e)
				matches++
				continue
			}
		}
		if rules == maxRules || matches == maxRouteMatches {
			object, rules, matches = object+1, 0, 0
		}
		e.object = object
		groups = append(groups, []*entry{e})
		rules++
		matches++
	}
	return groups
}

// prefixed tells that a filter of the entry replaces a prefix.
func (e *entry) prefixed() bool {
	return e.variant.kind == prefixOfAll || e.variant.kind == prefixSegments
}

// same tells whether all ports have the same rules.
func same(lists [][]gwv1.HTTPRouteRule) bool {
	var first []byte
	for i, l := range lists {
		b, err := json.Marshal(l)
		if err != nil {
			return false
		}
		if i == 0 {
			first = b
		} else if string(b) != string(first) {
			return false
		}
	}
	return true
}

// httpRoute is one route object.
func (c *conversion) httpRoute(rules []gwv1.HTTPRouteRule, port int32, number int) *gwv1.HTTPRoute {
	return &gwv1.HTTPRoute{
		TypeMeta:   metav1.TypeMeta{APIVersion: gwv1.GroupVersion.String(), Kind: "HTTPRoute"},
		ObjectMeta: c.meta("HTTPRoute", port, number),
		Spec:       gwv1.HTTPRouteSpec{CommonRouteSpec: gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{c.target.parent(port)}}, Rules: rules},
	}
}

func (c *conversion) meta(kind string, port int32, number int) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Name: c.names.route(kind, c.target, port, number), Namespace: c.target.ref.Namespace,
		Labels: map[string]string{translate.LabelManaged: translate.ManagedBy},
	}
}

// write adds an object as documents hold it. What does not encode is an error in this package, which is noted so that
// the host is not taken for converted.
func (c *conversion) write(list []api.Content, object any) []api.Content {
	m := map[string]any{}
	b, err := json.Marshal(object)
	if err == nil {
		err = sjson.UnmarshalCaseSensitivePreserveInts(b, &m)
	}
	if err != nil {
		c.kept = append(c.kept, Reason{Object: c.target.ref, Fact: "C-10", Text: fmt.Sprintf("%T cannot be written: %v", object, err)})
		return list
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	return append(list, m)
}

// sortObjects sorts by kind, namespace and name.
func sortObjects(list []api.Content) []api.Content {
	key := func(c api.Content) string {
		m, _ := c["metadata"].(map[string]any)
		return fmt.Sprintf("%v/%v/%v", c["kind"], m["namespace"], m["name"])
	}
	slices.SortFunc(list, func(a, b api.Content) int { return strings.Compare(key(a), key(b)) })
	return list
}
