package states

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pkg/workloadapi"
	ztunnelpb "istio.io/istio/pkg/workloadapi/security"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/proof"
	"github.com/ambientplan/ambientplan/test/e2e/cluster"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
	"github.com/ambientplan/ambientplan/test/e2e/rbac"
)

// maxCells bounds how many requests of one call are compared; beyond it some are.
const maxCells = 300

// maxCallers bounds how many identities call.
const maxCallers = 40

// maxReports bounds how many disagreements of a state are printed.
const maxReports = 5

// state of a mesh, as the planner sees it and as objects.
type state struct {
	name      string
	mesh      *mesh.State
	trial     *proof.Trial
	situation *proof.Situation
	objects   cluster.Objects
}

// key is equal for states that are the same to istiod.
func (s state) key() string {
	docs, _ := s.documents()
	return docs
}

func (s state) compare(t *testing.T) counts {
	t.Helper()
	n, found := s.disagreements(t)
	for _, d := range found[:min(len(found), maxReports)] {
		t.Errorf("%s: %s", s.name, d)
	}
	return n
}

// disagreements compares all calls of one port of each Service with policies, on
// all ways: by callers with a sidecar, ambient ones and those outside of the mesh, at
// pods with a sidecar and ambient ones. It returns one request of each way.
func (s state) disagreements(t *testing.T) (n counts, found []string) {
	t.Helper()
	docs, pods := s.documents()
	x := &xds{t: t, state: s, server: istiod.Start(t, istiod.Config{YAML: docs, Mesh: istiod.MeshOf(s.mesh)}), pods: pods, chains: map[string][]istiod.Chain{}, compiled: map[string]*rbac.Chain{}}
	x.authorizations, x.workloads, x.services = x.server.Authorizations(), x.server.Workloads(), x.server.Services()
	n.states = 1
	list := s.mesh.Services()
	for i := range list {
		svc := &list[i]
		for _, w := range s.mesh.WorkloadsOf(svc) {
			for _, port := range svc.Ports {
				if port.Transport == "UDP" || s.mesh.Mode(w) == mesh.ModeGateway || targetPort(port, w) == 0 {
					continue
				}
				c, d := x.compareCall(svc, w, port)
				n.add(c)
				found = append(found, d...)
			}
		}
	}
	return n, found
}

// compareCall compares all ways of one call.
func (x *xds) compareCall(svc *api.Service, w *api.Workload, port api.ServicePort) (n counts, found []string) {
	waypoint, pod := x.state.trial.Policies(x.state.situation, svc.Ref(), w.Ref())
	both := slices.Concat(waypoint, pod)
	who, _ := mesh.Callers(both, x.state.mesh.AuthzSettings(), w.Namespace)
	who = append(slices.Clone(who[:min(len(who), maxCallers)]), "cluster.local/ns/"+w.Namespace+"/sa/default", "cluster.local/ns/other/sa/other")
	cells, _ := mesh.Space{Sets: [][]mesh.Typed[*security.AuthorizationPolicy]{waypoint, pod}, Callers: who, Settings: x.state.mesh.AuthzSettings(), Limit: 20000}.Cells(mesh.Request{})
	cells = slices.DeleteFunc(cells, func(r mesh.Request) bool { return len(r.Claims) > 0 })
	if len(cells) == 0 {
		cells = []mesh.Request{{Method: "GET", Path: "/", Host: svc.Name}}
	}
	for _, client := range []mesh.Mode{mesh.ModeSidecar, mesh.ModeAmbient, mesh.ModeNone} {
		for _, server := range []mesh.Mode{mesh.ModeSidecar, mesh.ModeAmbient} {
			for _, direct := range []bool{false, true} {
				c, d := x.compareWay(proof.Ask{Service: svc.Ref(), Workload: w.Ref(), Port: port.Port, Client: client, Server: server, Direct: direct}, cells, who, svc, w, port)
				n.add(c)
				if d != "" {
					found = append(found, d)
				}
			}
		}
	}
	return n, found
}

// compareWay compares all requests on one way and returns the first disagreement.
func (x *xds) compareWay(ask proof.Ask, cells []mesh.Request, who []string, svc *api.Service, w *api.Workload, port api.ServicePort) (n counts, found string) {
	step := max(1, len(cells)/maxCells)
	for i := 0; i < len(cells); i += step {
		for _, ask.Request.Principal = range who {
			if (ask.Client == mesh.ModeNone) != (ask.Request.Principal == "") {
				continue
			}
			principal := ask.Request.Principal
			ask.Request = cells[i]
			ask.Request.Principal = principal
			if !ask.Request.Source.IsValid() {
				ask.Request.Source = netip.MustParseAddr("10.1.2.3")
			}
			if !ask.Request.Destination.IsValid() {
				ask.Request.Destination = netip.MustParseAddr("10.0.9.9")
			}
			got, err := x.state.trial.Decide(x.state.situation, ask)
			if err != nil {
				x.t.Fatal(err)
			}
			want, over := x.decide(ask, svc, w, port)
			n.asked++
			switch {
			case got.Outcome == mesh.OutcomeUnknown:
				n.unknown++
				continue
			case want == mesh.OutcomeUnknown && !over:
				// No policy of layer 7 applies, so the protocol makes no difference.
				n.unknown++
				continue
			case got.Outcome != want:
				return n, fmt.Sprintf("%v client %s -> %s:%d at %v pods of %s (direct %v): proof says %v (%s), istiod's configuration %v for %+v", ask.Client, principal, svc.Ref(), ask.Port, ask.Server, w.Ref(), ask.Direct, got.Outcome, got.By, want, ask.Request)
			case want == mesh.Denied:
				n.denied++
			}
			if over {
				n.waypoints++
			}
		}
	}
	return n, ""
}

// xds is what istiod generates for a state.
type xds struct {
	t              *testing.T
	state          state
	server         *istiod.Server
	pods           map[api.Ref]istiod.Proxy
	authorizations map[string]*ztunnelpb.Authorization
	workloads      map[string]*workloadapi.Workload
	services       map[string]*workloadapi.Service
	chains         map[string][]istiod.Chain
	compiled       map[string]*rbac.Chain
}

// decide judges a request by istiod's configuration, and tells whether it went over
// a waypoint.
func (x *xds) decide(a proof.Ask, svc *api.Service, w *api.Workload, port api.ServicePort) (out mesh.Outcome, over bool) {
	r := a.Request
	tcp := tcpOnly(port)
	first := mesh.Allowed
	host := svc.Name + "." + svc.Namespace + ".svc.cluster.local"
	if to := x.services[svc.Namespace+"/"+host].GetWaypoint(); a.Client == mesh.ModeAmbient && !a.Direct && to != nil {
		name, ns := x.waypoint(to)
		r.Port = uint16(port.Port)
		first = x.judge(ns+"/"+name, x.waypointChain(ns, name, host, port, tcp), !tcp, r)
		over = true
		if first == mesh.Denied {
			return first, over
		}
		r.Principal = "cluster.local/ns/" + ns + "/sa/" + name
		r.Source = netip.MustParseAddr("10.9.9.9")
	}
	pod, ok := x.pods[w.Ref()]
	if !ok {
		x.t.Fatalf("no pod for %s", w.Ref())
	}
	r.Port = targetPort(port, w)
	second := x.atPod(pod, w, a.Server, a.Client, r, tcp)
	if second == mesh.Allowed && first != mesh.Allowed {
		return first, over
	}
	return second, over
}

// waypoint is the Gateway that an address of ztunnel's configuration stands for.
func (x *xds) waypoint(to *workloadapi.GatewayAddress) (name, namespace string) {
	h := to.GetHostname()
	if h == nil || to.GetHboneMtlsPort() != 15008 {
		x.t.Fatalf("waypoint %v is not named by a host", to)
	}
	parts := strings.SplitN(h.Hostname, ".", 3)
	return parts[0], parts[1]
}

func (x *xds) waypointChain(ns, name, host string, port api.ServicePort, tcp bool) istiod.Chain {
	p := waypointProxy(ns, name)
	key := ns + "/" + name
	if x.chains[key] == nil {
		x.chains[key] = x.server.Chains(p)
	}
	kind := "http"
	if tcp {
		kind = "tcp"
	}
	want := fmt.Sprintf("inbound-vip|%d|%s|%s", port.Port, kind, host)
	for _, c := range x.chains[key] {
		if c.Name == want {
			return c
		}
	}
	x.t.Fatalf("%s: waypoint %s has no chain %s", x.state.name, key, want)
	return istiod.Chain{}
}

// atPod judges a connection at the proxy of a pod.
func (x *xds) atPod(pod istiod.Proxy, w *api.Workload, server, client mesh.Mode, r mesh.Request, tcp bool) mesh.Outcome {
	if server == mesh.ModeAmbient {
		z := x.workloads[pod.Namespace+"/"+pod.Name]
		if z == nil || z.TunnelProtocol != workloadapi.TunnelProtocol_HBONE {
			x.t.Fatalf("ztunnel has no workload %s/%s that takes HBONE", pod.Namespace, pod.Name)
		}
		out, err := rbac.Ztunnel(istiod.AuthorizationsOf(z, x.authorizations), r)
		if err != nil {
			x.t.Fatal(err)
		}
		return out
	}
	key := "pod " + pod.Namespace + "/" + pod.Name
	if x.chains[key] == nil {
		x.chains[key] = x.server.Chains(pod)
	}
	plain, encrypted := (*istiod.Chain)(nil), (*istiod.Chain)(nil)
	for i, c := range x.chains[key] {
		if c.Port != uint32(r.Port) || (c.HTTP == nil) != tcp {
			continue
		}
		if c.Transport == "tls" {
			encrypted = &x.chains[key][i]
		} else {
			plain = &x.chains[key][i]
		}
	}
	if plain == nil && encrypted == nil && x.contested(w, r.Port, tcp) {
		return mesh.OutcomeUnknown // another Service's protocol counts for the port
	}
	// A client with a sidecar encrypts where the server takes it; HBONE always does.
	switch {
	case encrypted != nil && r.Principal != "":
		return x.judge(key, *encrypted, !tcp, r)
	case plain != nil && client == mesh.ModeAmbient:
		return x.judge(key, *plain, !tcp, r)
	case plain != nil:
		r.Principal = ""
		return x.judge(key, *plain, !tcp, r)
	case encrypted != nil:
		return mesh.Denied // no chain takes plaintext: the connection is closed
	}
	x.t.Fatalf("%s: sidecar of %s has no chain for port %d (TCP: %v)", x.state.name, w.Ref(), r.Port, tcp)
	return mesh.OutcomeUnknown
}

// contested tells whether another Service declares another protocol for a port of
// the pods.
func (x *xds) contested(w *api.Workload, port uint16, tcp bool) bool {
	for _, svc := range x.state.mesh.ServicesOf(w) {
		for _, p := range svc.Ports {
			if targetPort(p, w) == port && tcpOnly(p) != tcp {
				return true
			}
		}
	}
	return false
}

// judge runs a request through a chain of a proxy.
func (x *xds) judge(proxy string, c istiod.Chain, http bool, r mesh.Request) mesh.Outcome {
	key := fmt.Sprintf("%s %s %d %s %v", proxy, c.Name, c.Port, c.Transport, http)
	chain := x.compiled[key]
	if chain == nil {
		var err error
		if http {
			chain, err = rbac.HTTP(c.HTTP)
		} else {
			chain, err = rbac.Network(c.Network)
		}
		if err != nil {
			x.t.Fatal(err)
		}
		x.compiled[key] = chain
	}
	out, err := chain.Judge(r)
	if err != nil {
		x.t.Fatal(err)
	}
	return out
}

// tcpOnly tells whether istiod serves a port as TCP by its declared protocol.
func tcpOnly(p api.ServicePort) bool {
	return slices.Contains([]string{"TCP", "TLS", "HTTPS", "Mongo", "Redis", "MySQL"}, p.Protocol)
}

// targetPort is the pod's port; 0 for a name that no container declares, behind which
// there is nothing.
func targetPort(p api.ServicePort, w *api.Workload) uint16 {
	if n, err := strconv.ParseUint(p.TargetPort, 10, 16); err == nil {
		return uint16(n)
	}
	for _, c := range w.Ports {
		if p.TargetPort != "" && c.Name == p.TargetPort {
			return uint16(c.Port)
		}
	}
	if p.TargetPort == "" {
		return uint16(p.Port)
	}
	return 0
}

// documents are the objects that decide about requests, and a pod of each workload
// that can be asked as one with a sidecar and as an ambient one.
func (s state) documents() (string, map[api.Ref]istiod.Proxy) {
	var b strings.Builder
	spaces := map[string]bool{}
	put := func(o map[string]any) {
		y, err := yaml.Marshal(o)
		if err != nil {
			panic(err)
		}
		b.WriteString("\n---\n" + string(y))
	}
	for n, ref := range slices.SortedFunc(maps.Keys(s.objects), api.Ref.Compare) {
		o := s.objects[ref]
		switch ref.Group + "/" + ref.Kind {
		case "/Service":
			o = defaulted(o, n)
		case "gateway.networking.k8s.io/Gateway":
			o = ready(o, ref)
			put(waypointService(ref, n))
			put(waypointPod(ref))
		case "security.istio.io/RequestAuthentication":
			o = stored(withoutKeys(o))
		case "security.istio.io/AuthorizationPolicy", "security.istio.io/PeerAuthentication":
			o = stored(o)
		case "/Namespace":
		default:
			continue
		}
		put(o)
	}
	pods := map[api.Ref]istiod.Proxy{}
	list := s.mesh.Workloads()
	for i := range list {
		w := &list[i]
		pod, proxy := podOf(w, s.objects[w.Ref()], i)
		put(pod)
		pods[w.Ref()] = proxy
		spaces[w.Namespace] = true
	}
	for _, ns := range slices.Sorted(maps.Keys(spaces)) {
		put(map[string]any{"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": map[string]any{"name": "small", "namespace": ns},
			"spec": map[string]any{"egress": []any{map[string]any{"hosts": []any{"~/*"}}}}})
	}
	return b.String(), pods
}
