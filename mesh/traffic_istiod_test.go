package mesh

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// istiodCase is a mesh and what a real istiod made of it: the rules and clusters that it wrote for calls of service
// orders, for the sidecars of web and cart and for the waypoint of the service.
type istiodCase struct {
	Objects  []string               `json:"objects"`
	Waypoint string                 `json:"waypoint"`
	Proxies  map[string]istiodProxy `json:"proxies"`
}

// istiodProxy is what istiod wrote for one proxy.
type istiodProxy struct {
	// HTTP rules for port 80 in order, as "path|timeout in seconds|cluster"; none when the proxy does not know the service.
	HTTP []string `json:"http"`
	// TCP and TLS are the filter chains for ports 9000 and 443 in order, as "SNI|cluster".
	TCP []string `json:"tcp"`
	TLS []string `json:"tls"`
	// Limits are the connection limits of clusters; 0 for none.
	Limits map[string]uint32 `json:"limits"`
}

const ordersHost = "orders.shop.svc.cluster.local"

// TestTrafficIstiod compares with what a real istiod generated for random meshes. The rules are told apart by their
// timeouts, the DestinationRules by their connection limits.
func TestTrafficIstiod(t *testing.T) {
	file := "testdata/traffic_istiod.json"
	if f := os.Getenv("TRAFFIC_CASES"); f != "" {
		file = f
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []istiodCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, c := range cases {
		for _, way := range []string{"web", "cart", "waypoint"} {
			t.Run(fmt.Sprintf("%d/%s", i, way), func(t *testing.T) {
				compared += c.compare(t, way)
			})
		}
	}
	t.Logf("%d of %d answers compared, the rest is unknown to us", compared, 3*len(cases))
	if compared < 2*len(cases) {
		t.Errorf("only %d of %d answers were compared", compared, 3*len(cases))
	}
}

// compare tells how many answers it compared: none when ours is an unknown.
func (c istiodCase) compare(t *testing.T, way string) int {
	t.Helper()
	s := trafficState(t, strings.Join(c.Objects, "\n---\n"))
	want := c.Proxies[way]
	ask := trafficCase{way: way}
	inbound := way == "waypoint"
	if inbound {
		ask.way = "web+" + map[string]string{"shop": "waypoint", "infra": "infra"}[c.Waypoint]
	}
	got := ask.ask(t, s)
	if got.Unknown != "" {
		return 0
	}
	var http []string
	if got.Where != PlaceNone {
		http = envoyRules(t, got.Routes, inbound)
	}
	if d := cmp.Diff(reached(want.HTTP), http); d != "" {
		t.Errorf("HTTP (-istiod +ours):\n%s\n%s", d, strings.Join(c.Objects, "\n---\n"))
	}
	for name, limit := range envoyLimits(t, got, inbound) {
		if have, ok := want.Limits[name]; !ok || have != limit {
			t.Errorf("limit of %s: istiod %d (%v), ours %d\n%s", name, have, ok, limit, strings.Join(c.Objects, "\n---\n"))
		}
	}
	for port, list := range map[int32][]string{9000: want.TCP, 443: want.TLS} {
		ask.port = port
		a := ask.ask(t, s)
		if a.Unknown != "" || a.Where == PlaceNone {
			continue
		}
		if d := cmp.Diff(list, envoyChains(t, a.Routes, port, inbound)); d != "" {
			t.Errorf("port %d (-istiod +ours):\n%s\n%s", port, d, strings.Join(c.Objects, "\n---\n"))
		}
	}
	return 1
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
func clusterName(t *testing.T, d string, port int, protocol string, inbound bool) string {
	t.Helper()
	if d == "" {
		d = ordersHost
	}
	host, subset, _ := strings.Cut(d, "/")
	host, p, ok := strings.Cut(host, ":")
	if ok {
		n, err := strconv.Atoi(p)
		if err != nil {
			t.Fatal(err)
		}
		port = n
	} else if host != ordersHost {
		port = 80
	}
	if inbound && host == ordersHost {
		if subset != "" {
			protocol += "/" + subset
		}
		return fmt.Sprintf("inbound-vip|%d|%s|%s", port, protocol, host)
	}
	return fmt.Sprintf("outbound|%d|%s|%s", port, subset, host)
}

func envoyRules(t *testing.T, routes []Applied, inbound bool) []string {
	if len(routes) == 0 {
		routes = []Applied{{}}
	}
	var out []string
	for _, r := range routes {
		text := r.feature("timeout")
		var timeouts struct{ Request string }
		if strings.HasPrefix(text, "{") {
			if err := json.Unmarshal([]byte(text), &timeouts); err != nil {
				t.Fatal(err)
			}
			text = timeouts.Request
		}
		if text == "" {
			text = "0s"
		}
		timeout, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s|%d|%s", envoyPath(t, r.feature("match")), int(timeout.Seconds()), clusterName(t, r.feature("route"), 80, "http", inbound)))
	}
	return out
}

// envoyPath is the path of a condition of a VirtualService or HTTPRoute.
func envoyPath(t *testing.T, match string) string {
	if match == "" {
		return "prefix /"
	}
	var m struct {
		URI             map[string]string
		Path            struct{ Type, Value string }
		Headers, Method any
	}
	if err := json.Unmarshal([]byte(match), &m); err != nil {
		t.Fatal(err)
	}
	more := ""
	if m.Headers != nil || m.Method != nil {
		more = " and more"
	}
	if m.Path.Value != "" {
		return map[string]string{"PathPrefix": "prefix ", "Exact": "exact ", "RegularExpression": "regex "}[m.Path.Type] + m.Path.Value + more
	}
	for k, v := range m.URI {
		return k + " " + v + more
	}
	return "prefix /" + more
}

// envoyLimits are the connection limits of the clusters that the routes lead to; a cluster of a subset is there only
// when a DestinationRule declares it.
func envoyLimits(t *testing.T, a Acting, inbound bool) map[string]uint32 {
	out := map[string]uint32{}
	for _, d := range a.Destinations {
		if a.Where == PlaceNone || strings.Contains(d, ":") {
			continue
		}
		declared, limit := !strings.Contains(d, "/"), uint32(0)
		for _, p := range a.Policies {
			if p.Host != d {
				continue
			}
			declared = declared || p.feature("subset") != ""
			if v := p.feature("connectionPool"); v != "" {
				var pool struct {
					TCP struct{ MaxConnections uint32 }
				}
				if err := json.Unmarshal([]byte(v), &pool); err != nil {
					t.Fatal(err)
				}
				limit = pool.TCP.MaxConnections
			}
		}
		if declared {
			out[clusterName(t, d, 80, "http", inbound)] = limit
		}
	}
	return out
}

func envoyChains(t *testing.T, routes []Applied, port int32, inbound bool) []string {
	var out []string
	for _, r := range routes {
		var m struct{ SniHosts []string }
		if v := r.feature("match"); v != "" && !inbound {
			if err := json.Unmarshal([]byte(v), &m); err != nil {
				t.Fatal(err)
			}
			slices.Sort(m.SniHosts)
		}
		out = append(out, strings.Join(m.SniHosts, ",")+"|"+clusterName(t, r.feature("route"), int(port), "tcp", inbound))
	}
	if len(out) == 0 {
		out = []string{"|" + clusterName(t, "", int(port), "tcp", inbound)}
	}
	return out
}
