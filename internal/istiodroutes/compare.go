// Package istiodroutes compares what package mesh says of routes and traffic policies with what a real istiod generates.
// It is for tests: those here read recorded cases, those of the module test/e2e ask istiod about random ones.
package istiodroutes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// OrdersHost is the service that is called.
const OrdersHost = "orders.shop.svc.cluster.local"

// Case is a mesh and what istiod made of it. Besides the objects it has services orders (ports 80 HTTP, 9000 TCP, 443
// TLS, bound to the waypoint) and orders-v2 (80 HTTP) in namespace shop.
type Case struct {
	// Objects are YAML documents, each with a creation time: rules are told apart by their timeouts, DestinationRules by
	// their connection limits.
	Objects []string `json:"objects"`
	// Waypoint is the namespace of the waypoint.
	Waypoint string `json:"waypoint"`
	// Proxies are "web" and "cart", clients with sidecars in namespaces web and shop, and "waypoint".
	Proxies map[string]*Proxy `json:"proxies"`
}

// Proxy is what istiod wrote for one proxy and calls of orders.
type Proxy struct {
	// HTTP rules for port 80 in order, as "path|timeout in seconds|cluster"; none when the proxy does not know the service.
	HTTP []string `json:"http,omitempty"`
	// TCP and TLS are the filter chains for ports 9000 and 443 in order, as "SNI|cluster".
	TCP []string `json:"tcp,omitempty"`
	TLS []string `json:"tls,omitempty"`
	// Limits are the connection limits of clusters; 0 for none.
	Limits map[string]uint32 `json:"limits,omitempty"`
}

// Compare asks package mesh the same and lists what differs. Known is false when mesh says that it does not know.
func (c *Case) Compare(proxy string) (differences []string, known bool, err error) {
	s, err := c.state()
	if err != nil {
		return nil, false, err
	}
	want := c.Proxies[proxy]
	if want == nil {
		return nil, false, fmt.Errorf("the case has no proxy %s", proxy)
	}
	inbound := proxy == "waypoint"
	got := c.ask(s, proxy, 80)
	if got.Unknown != "" {
		return nil, false, nil
	}
	var rules []string
	if got.Where != mesh.PlaceNone {
		if rules, err = httpRules(got.Routes, inbound); err != nil {
			return nil, false, err
		}
	}
	var out []string
	if have := reached(want.HTTP); !slices.Equal(have, rules) {
		out = append(out, fmt.Sprintf("port 80: istiod %q, mesh %q", have, rules))
	}
	limits, err := clusterLimits(got, inbound)
	if err != nil {
		return nil, false, err
	}
	for _, l := range limits {
		if have, ok := want.Limits[l.cluster]; !ok || have != l.connections {
			out = append(out, fmt.Sprintf("limit of %s: istiod %d (there is one: %v), mesh %d", l.cluster, have, ok, l.connections))
		}
	}
	for _, p := range []struct {
		port   int32
		chains []string
	}{{9000, want.TCP}, {443, want.TLS}} {
		a := c.ask(s, proxy, p.port)
		if a.Unknown != "" || a.Where == mesh.PlaceNone {
			continue
		}
		chains, err := filterChains(a.Routes, p.port, inbound)
		if err != nil {
			return nil, false, err
		}
		if !slices.Equal(p.chains, chains) {
			out = append(out, fmt.Sprintf("port %d: istiod %q, mesh %q", p.port, p.chains, chains))
		}
	}
	return out, true, nil
}

// state is the mesh of the case.
func (c *Case) state() (*mesh.State, error) {
	labels := map[string]string{mesh.LabelUseWaypoint: "waypoint", mesh.LabelUseWaypointNS: c.Waypoint}
	inv := &api.Inventory{
		Namespaces: []api.Namespace{{Name: "shop"}, {Name: "web"}, {Name: "infra"}, {Name: "istio-system"}},
		Services: []api.Service{
			{Namespace: "shop", Name: "orders", Labels: labels, Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}, {Port: 9000, Protocol: "TCP"}, {Port: 443, Protocol: "TLS"}}},
			{Namespace: "shop", Name: "orders-v2", Ports: []api.ServicePort{{Port: 80, Protocol: "HTTP"}}},
		},
		Workloads: []api.Workload{
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "web", Name: "web", PodLabels: map[string]string{"app": "web"}},
			{Kind: "Deployment", APIVersion: "apps/v1", Group: "apps", Namespace: "shop", Name: "cart", PodLabels: map[string]string{"app": "cart"}},
		},
	}
	for _, doc := range c.Objects {
		// Through JSON, as an inventory that is read from a file.
		var v map[string]any
		if err := yaml.Unmarshal([]byte(doc), &v); err != nil {
			return nil, fmt.Errorf("%w in\n%s", err, doc)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		var content api.Content
		if err := json.Unmarshal(b, &content); err != nil {
			return nil, err
		}
		meta, _ := content["metadata"].(map[string]any)
		o := api.Object{Content: content}
		o.APIVersion, _ = content["apiVersion"].(string)
		o.Kind, _ = content["kind"].(string)
		o.Namespace, _ = meta["namespace"].(string)
		o.Name, _ = meta["name"].(string)
		inv.Objects = append(inv.Objects, o)
	}
	s, unknowns := mesh.New(inv)
	if len(unknowns) > 0 {
		return nil, fmt.Errorf("%v", unknowns)
	}
	return s, nil
}

// ask asks package mesh what acts.
func (c *Case) ask(s *mesh.State, proxy string, port int32) mesh.Acting {
	svc := s.Service("shop", "orders")
	i := slices.IndexFunc(svc.Ports, func(p api.ServicePort) bool { return p.Port == port })
	switch proxy {
	case "web":
		return s.Traffic(s.WorkloadsIn("web")[0], mesh.ModeSidecar, svc, svc.Ports[i], nil)
	case "cart":
		return s.Traffic(s.WorkloadsIn("shop")[0], mesh.ModeSidecar, svc, svc.Ports[i], nil)
	}
	return s.Traffic(s.WorkloadsIn("web")[0], mesh.ModeAmbient, svc, svc.Ports[i], &api.WaypointRef{Name: "waypoint", Namespace: c.Waypoint})
}

// reached are the rules up to the first that takes every request; a regular expression for all is one as well.
func reached(rules []string) []string {
	var out []string
	for _, r := range rules {
		r = strings.Replace(r, "regex .*|", "prefix /|", 1)
		out = append(out, r)
		if strings.HasPrefix(r, "prefix /|") {
			break
		}
	}
	return out
}

// clusterName is the Envoy cluster of a destination "host[:port][/subset]"; "" is the service.
func clusterName(d string, port int, inbound bool) (string, error) {
	if d == "" {
		d = OrdersHost
	}
	host, subset, _ := strings.Cut(d, "/")
	host, p, ok := strings.Cut(host, ":")
	if ok {
		n, err := strconv.Atoi(p)
		if err != nil {
			return "", err
		}
		port = n
	} else if host != OrdersHost {
		port = 80
	}
	if inbound && host == OrdersHost {
		// The port of the cluster says what it speaks, not the one that was called.
		protocol := "tcp"
		if port == 80 {
			protocol = "http"
		}
		if subset != "" {
			protocol += "/" + subset
		}
		return fmt.Sprintf("inbound-vip|%d|%s|%s", port, protocol, host), nil
	}
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host), nil
}

// feature is the value of a feature of a rule; "" when it has none.
func feature(a mesh.Applied, name string) string {
	for _, f := range a.Features {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// httpRules writes rules as istiod's are recorded. None is the default route.
func httpRules(routes []mesh.Applied, inbound bool) ([]string, error) {
	if len(routes) == 0 {
		routes = []mesh.Applied{{}}
	}
	var out []string
	for _, r := range routes {
		text := feature(r, "timeout")
		if strings.HasPrefix(text, "{") {
			var timeouts struct{ Request string }
			if err := json.Unmarshal([]byte(text), &timeouts); err != nil {
				return nil, err
			}
			text = timeouts.Request
		}
		var timeout time.Duration
		if text != "" {
			var err error
			if timeout, err = time.ParseDuration(text); err != nil {
				return nil, err
			}
		}
		path, err := pathOf(r)
		if err != nil {
			return nil, err
		}
		cluster, err := clusterName(feature(r, "route"), 80, inbound)
		if err != nil {
			return nil, err
		}
		out = append(out, fmt.Sprintf("%s|%d|%s", path, int(timeout.Seconds()), cluster))
	}
	return out, nil
}

// pathOf is the path of a condition of a VirtualService, HTTPRoute or GRPCRoute.
func pathOf(a mesh.Applied) (string, error) {
	text := feature(a, "match")
	if text == "" {
		return "prefix /", nil
	}
	var m struct {
		URI             map[string]string
		Path            struct{ Type, Value string }
		Headers, Method any
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return "", err
	}
	more := ""
	grpc, isGRPC := m.Method.(map[string]any)
	if m.Headers != nil || m.Method != nil && !isGRPC {
		more = " and more"
	}
	if isGRPC {
		service, _ := grpc["service"].(string)
		method, _ := grpc["method"].(string)
		switch {
		case method == "":
			return "prefix /" + service + more, nil
		case service == "":
			return "regex /[^/]+/" + method + more, nil
		}
		return "exact /" + service + "/" + method + more, nil
	}
	if m.Path.Value != "" {
		return map[string]string{"PathPrefix": "prefix ", "Exact": "exact ", "RegularExpression": "regex "}[m.Path.Type] + m.Path.Value + more, nil
	}
	for k, v := range m.URI {
		return k + " " + v + more, nil
	}
	return "prefix /" + more, nil
}

// limit is the connection limit of a cluster.
type limit struct {
	cluster     string
	connections uint32
}

// clusterLimits are the limits of the clusters that the routes lead to; a cluster of a subset is there only when a
// DestinationRule declares it.
func clusterLimits(a mesh.Acting, inbound bool) ([]limit, error) {
	var out []limit
	for _, d := range a.Destinations {
		if a.Where == mesh.PlaceNone || strings.Contains(d, ":") {
			continue
		}
		declared, connections := !strings.Contains(d, "/"), uint32(0)
		for _, p := range a.Policies {
			if p.Host != d {
				continue
			}
			declared = declared || feature(p, "subset") != ""
			if v := feature(p, "connectionPool"); v != "" {
				var pool struct {
					TCP struct{ MaxConnections uint32 }
				}
				if err := json.Unmarshal([]byte(v), &pool); err != nil {
					return nil, err
				}
				connections = pool.TCP.MaxConnections
			}
		}
		name, err := clusterName(d, 80, inbound)
		if err != nil {
			return nil, err
		}
		if declared {
			out = append(out, limit{name, connections})
		}
	}
	return out, nil
}

// filterChains writes TCP and TLS rules as istiod's are recorded.
func filterChains(routes []mesh.Applied, port int32, inbound bool) ([]string, error) {
	if len(routes) == 0 {
		routes = []mesh.Applied{{}}
	}
	var out []string
	for _, r := range routes {
		var m struct{ SniHosts []string }
		if v := feature(r, "match"); v != "" && !inbound {
			if err := json.Unmarshal([]byte(v), &m); err != nil {
				return nil, err
			}
			slices.Sort(m.SniHosts)
		}
		cluster, err := clusterName(feature(r, "route"), int(port), inbound)
		if err != nil {
			return nil, err
		}
		out = append(out, strings.Join(m.SniHosts, ",")+"|"+cluster)
	}
	return out, nil
}
