package convert

import (
	"fmt"
	"slices"

	networking "istio.io/api/networking/v1alpha3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// l4Match is a condition of a TCP or TLS rule.
type l4Match struct {
	port      uint32
	gateways  []string
	labels    map[string]string
	namespace string
	subnets   []string
	subnet    string
	sni       []string
	isTLS     bool
}

// l4Rule is a TCP or TLS rule with its conditions.
type l4Rule struct {
	object *api.Object
	path   string
	// hosts of the VirtualService, as written.
	hosts   []string
	matches []l4Match
	// never: it had matches, and none is for the mesh and this host.
	never bool
	route []*networking.RouteDestination
}

// l4 converts the TCP and TLS rules. A waypoint follows one rule for a port: the first TLS rule whose only SNI is the
// host, else the first TCP rule (facts C-47, L-35).
// Source: pilot/pkg/networking/core/listener_waypoint.go (getWaypointTCPRoutes).
func (c *conversion) l4(vs []mesh.Typed[*networking.VirtualService]) []api.Content {
	var tcp, tls []l4Rule
	for _, v := range vs {
		for i, r := range v.Spec.GetTcp() {
			rule := l4Rule{object: v.Object, path: fmt.Sprintf("spec.tcp[%d]", i), hosts: v.Spec.GetHosts(), route: r.GetRoute()}
			for _, m := range r.GetMatch() {
				rule.matches = append(rule.matches, l4Match{port: m.GetPort(), gateways: m.GetGateways(), labels: m.GetSourceLabels(), namespace: m.GetSourceNamespace(),
					subnets: m.GetDestinationSubnets(), subnet: m.GetSourceSubnet()})
			}
			tcp = append(tcp, rule)
		}
		for i, r := range v.Spec.GetTls() {
			rule := l4Rule{object: v.Object, path: fmt.Sprintf("spec.tls[%d]", i), hosts: v.Spec.GetHosts(), route: r.GetRoute()}
			for _, m := range r.GetMatch() {
				rule.matches = append(rule.matches, l4Match{port: m.GetPort(), gateways: m.GetGateways(), labels: m.GetSourceLabels(), namespace: m.GetSourceNamespace(),
					subnets: m.GetDestinationSubnets(), sni: m.GetSniHosts(), isTLS: true})
			}
			if len(rule.matches) == 0 {
				c.block(v.Object, rule.path+".match", "C-47", "a TLS rule has no match", refused)
			}
			tls = append(tls, rule)
		}
	}
	for i := range tls {
		c.checkL4(&tls[i])
	}
	for i := range tcp {
		c.checkL4(&tcp[i])
	}
	for _, list := range [][]l4Rule{tls, tcp} {
		for _, r := range list {
			if o := list[0].object; o != r.object {
				c.block(r.object, "spec.hosts", "C-01", fmt.Sprintf("%s has rules for connections to the same host, and which of them count depends on their age", o.Ref()), "make one VirtualService of them")
				break
			}
		}
	}
	if c.class() != Converted || len(tcp)+len(tls) == 0 {
		return nil
	}
	return c.l4Routes(tcp, tls)
}

// checkL4 notes what a rule says that no route can, and drops the conditions that are not for the mesh.
func (c *conversion) checkL4(r *l4Rule) {
	if len(r.route) == 0 {
		c.block(r.object, r.path+".route", "C-47", "the rule has no destination", refused)
	}
	for j, m := range r.matches {
		at := fmt.Sprintf("%s.match[%d]", r.path, j)
		if !meshMatch(m.gateways) {
			c.drop(r.object, at+".gateways", "C-27", "it is for gateways only, and stays in the VirtualService for them")
			continue
		}
		if len(m.gateways) > 0 {
			c.drop(r.object, at+".gateways", "C-27", "routes of a Service hold for the mesh; what is for other gateways stays in the VirtualService")
		}
		const remedy = "give these callers a Service of their own, or drop the condition"
		if len(m.labels) > 0 {
			c.block(r.object, at+".sourceLabels", "C-25", "it matches on labels of the caller, which a waypoint does not know", remedy)
		}
		if m.namespace != "" {
			c.block(r.object, at+".sourceNamespace", "C-26", "it matches on the namespace of the caller, which a waypoint does not know", remedy)
		}
		if len(m.subnets) > 0 {
			c.notes.keep(r.object, at+".destinationSubnets", "C-47", "no route matches on the address that was called; a waypoint does not either")
		}
		if m.subnet != "" {
			c.notes.keep(r.object, at+".sourceSubnet", "C-47", "no route matches on the address of the caller")
		}
		if p := int32(m.port); p != 0 && !slices.ContainsFunc(c.target.ports, func(s api.ServicePort) bool { return s.Port == p }) {
			c.drop(r.object, at+".port", "C-23", fmt.Sprintf("%s has no port %d, so it never holds", c.target.ref, p))
		}
		if c.otherHost(r, m) {
			c.drop(r.object, at+".sniHosts", "L-35", "it is for another host of the VirtualService")
			continue
		}
		if m.isTLS && (len(m.sni) != 1 || c.st.ResolveHost(m.sni[0], r.object.Namespace) != c.target.host) {
			c.notes.keep(r.object, at+".sniHosts", "L-35", "a waypoint follows a TLS rule only when its one SNI is the host of the service, and so does a TLSRoute")
		}
	}
	had := len(r.matches) > 0
	r.matches = slices.DeleteFunc(r.matches, func(m l4Match) bool { return !meshMatch(m.gateways) || c.otherHost(r, m) })
	r.never = had && len(r.matches) == 0
	total := int64(0)
	for i, d := range r.route {
		at := fmt.Sprintf("%s.route[%d].weight", r.path, i)
		switch w := d.GetWeight(); {
		case w < 0:
			c.block(r.object, at, "C-30", "a weight is negative", refused)
		case w > maxWeight:
			c.notes.keep(r.object, at, "C-30", fmt.Sprintf("a route takes weights up to %d", maxWeight))
		default:
			total += int64(w)
			if len(r.route) == 1 && w != 0 {
				c.drop(r.object, at, "C-30", "the only destination gets everything")
			}
		}
	}
	if len(r.route) > 1 && total == 0 {
		c.block(r.object, r.path+".route", "C-30", "all weights are zero", refused)
	}
	if len(r.route) > maxList {
		c.notes.keep(r.object, r.path+".route", "C-03", fmt.Sprintf("it has %d destinations, and a rule takes %d", len(r.route), maxList))
	}
}

// first is the rule that holds for a port.
func first(rules []l4Rule, port int32) *l4Rule {
	for i, r := range rules {
		if len(r.matches) == 0 && !r.never {
			return &rules[i]
		}
		for _, m := range r.matches {
			if m.port == 0 || m.port == uint32(port) {
				return &rules[i]
			}
		}
	}
	return nil
}

// l4Routes writes the routes of each port that is not for HTTP alone: the two kinds of rules do not act on HTTP. Where
// there is a rule of both kinds both are written: a waypoint follows the TLS rule alone, sidecars tell by the SNI.
func (c *conversion) l4Routes(tcp, tls []l4Rule) []api.Content {
	var out []api.Content
	used := map[*l4Rule]bool{}
	for _, p := range c.target.ports {
		if p.Transport != "" && p.Transport != "TCP" || speaksHTTP(p) && p.Protocol != "" {
			continue
		}
		if r := first(tls, p.Port); r != nil {
			used[r] = true
			out = c.tlsRoute(out, r, p.Port)
		}
		if r := first(tcp, p.Port); r != nil {
			used[r] = true
			out = c.tcpRoute(out, r, p.Port)
		}
	}
	for _, list := range [][]l4Rule{tls, tcp} {
		for i, r := range list {
			if !used[&list[i]] {
				c.drop(r.object, r.path, "C-47", "no connection comes to it: another rule or HTTP takes every port")
			}
		}
	}
	return out
}

// l4Backends are the destinations of a rule on a port; false when one cannot be written, which is noted.
func (c *conversion) l4Backends(r *l4Rule, port int32) ([]gwv1.BackendRef, bool) {
	var backends []gwv1.BackendRef
	for i, d := range r.route {
		at := fmt.Sprintf("%s.route[%d].destination", r.path, i)
		ref, ok := c.backend(r.object, r.object.Namespace, at, d.GetDestination(), port)
		if !ok {
			return nil, false
		}
		if w := d.GetWeight(); len(r.route) > 1 {
			ref.Weight = &w
		}
		if v := c.versions[c.namespaceOf(ref)+"/"+string(ref.Name)]; d.GetDestination().GetSubset() != "" && v != nil && v.policy.GetConnectionPool().GetTcp() != nil {
			c.notes.keep(r.object, at+".subset", "C-51", "settings for TCP connections of the host take effect for the subset differently once it is a Service")
		}
		backends = append(backends, ref)
	}
	return backends, true
}

func (c *conversion) tlsRoute(out []api.Content, r *l4Rule, port int32) []api.Content {
	version := c.cluster.tlsVersion()
	if version == "" {
		c.notes.keep(r.object, r.path, "P-05", "no version of TLSRoute is known to be read by istiod")
		return out
	}
	backends, ok := c.l4Backends(r, port)
	if !ok {
		return out
	}
	return c.write(out, &gwv1.TLSRoute{
		TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: "TLSRoute"}, ObjectMeta: c.meta("TLSRoute", port, 0),
		Spec: gwv1.TLSRouteSpec{CommonRouteSpec: c.common(port), Hostnames: []gwv1.Hostname{gwv1.Hostname(c.target.host)}, Rules: []gwv1.TLSRouteRule{{BackendRefs: backends}}},
	})
}

func (c *conversion) tcpRoute(out []api.Content, r *l4Rule, port int32) []api.Content {
	version := c.cluster.tcpVersion()
	if version == "" {
		c.notes.keep(r.object, r.path, "P-05", "no version of TCPRoute is known to be read by istiod")
		return out
	}
	backends, ok := c.l4Backends(r, port)
	if !ok {
		return out
	}
	return c.write(out, &gwv1.TCPRoute{
		TypeMeta: metav1.TypeMeta{APIVersion: version, Kind: "TCPRoute"}, ObjectMeta: c.meta("TCPRoute", port, 0),
		Spec: gwv1.TCPRouteSpec{CommonRouteSpec: c.common(port), Rules: []gwv1.TCPRouteRule{{BackendRefs: backends}}},
	})
}

func (c *conversion) common(port int32) gwv1.CommonRouteSpec {
	return gwv1.CommonRouteSpec{ParentRefs: []gwv1.ParentReference{c.target.parent(port)}}
}

// otherHost tells that the one SNI of a match is another host of the same VirtualService: for this host a waypoint does
// not follow it.
func (c *conversion) otherHost(r *l4Rule, m l4Match) bool {
	if len(m.sni) != 1 || c.st.ResolveHost(m.sni[0], r.object.Namespace) == c.target.host {
		return false
	}
	return slices.ContainsFunc(r.hosts, func(h string) bool {
		return c.st.ResolveHost(h, r.object.Namespace) == c.st.ResolveHost(m.sni[0], r.object.Namespace)
	})
}

// namespaceOf a backend.
func (c *conversion) namespaceOf(ref gwv1.BackendRef) string {
	if ref.Namespace != nil {
		return string(*ref.Namespace)
	}
	return c.target.ref.Namespace
}
