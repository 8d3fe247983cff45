// Package meshgen makes meshes up: inventories of any size, for benchmarks and property tests. The same
// parameters give the same bytes. What it makes is what clusters hold: policies of both layers, routes of sidecars
// and of gateways, headless services, namespaces outside the mesh, objects that Argo CD keeps, a layered call
// graph with a few cycles. It imports nothing of the product but the types, and reads no clock.
package meshgen

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Params say how large a mesh is. The namespaces, services and workloads of the control plane, the ingress
// gateway and the cluster's DNS come besides; their pods are part of Pods.
type Params struct {
	Seed uint64
	// Namespaces of applications; every tenth is outside of the mesh.
	Namespaces int
	// Services of applications, each with one or two workloads behind it.
	Services int
	// Pods in all; raised to one for each workload where it is less.
	Pods int
	// Policies is how many AuthorizationPolicies and NetworkPolicies select a service. PeerAuthentications and
	// policies that deny by default come besides, by namespace.
	Policies int
	// Routes is how many VirtualServices there are; some come with a DestinationRule.
	Routes int
	// Edges is how many calls are drawn; those drawn twice are there once.
	Edges int
	// Nodes of the cluster; ztunnel and istio-cni have a pod on each.
	Nodes int
}

// Size is a mesh in the proportions of the limits that Kubernetes publishes for one cluster: 150,000 pods on 5,000
// nodes, 10,000 services. Namespaces are 500 at that size, a choice of ours.
// Source: kubernetes.io, "Considerations for large clusters", and the scalability thresholds of sig-scalability.
func Size(pods int) Params {
	services := max(pods/15, 1)
	return Params{
		Seed:       1,
		Namespaces: max(pods/300, 1),
		Services:   services,
		Pods:       pods,
		Policies:   services / 2,
		Routes:     services / 4,
		Edges:      services * 3,
		Nodes:      max(pods/30, 1),
	}
}

// The JSON of an object.
type (
	object = map[string]any
	list   = []any
)

// app is a service of an application and what runs behind it.
type app struct {
	space     *space
	name      string
	account   string
	protocol  string
	port      int32
	versions  []string
	workloads []api.Ref
	callers   []*app
}

// host is the full name of the service.
func (a *app) host() string { return a.name + "." + a.space.name + ".svc.cluster.local" }

// principal is the identity of the workloads, as policies write it.
func (a *app) principal() string { return "cluster.local/ns/" + a.space.name + "/sa/" + a.account }

// labels select the workloads of all versions.
func (a *app) labels() object { return object{"app": a.name} }

// space is a namespace of applications.
type space struct {
	name   string
	tier   int
	inMesh bool
	owner  *api.Owner
	apps   []*app
}

// generator holds a mesh while it grows.
type generator struct {
	p      Params
	r      *rand.Rand
	inv    *api.Inventory
	spaces []*space
	apps   []*app
	// inMesh are the apps of namespaces that are in the mesh.
	inMesh  []*app
	entries []api.Ref
}

// Generate makes a mesh. It is a function of p alone. Negative numbers count as 0.
func Generate(p Params) *api.Inventory {
	p.Namespaces, p.Services, p.Pods = max(p.Namespaces, 0), max(p.Services, 0), max(p.Pods, 0)
	p.Policies, p.Routes, p.Edges, p.Nodes = max(p.Policies, 0), max(p.Routes, 0), max(p.Edges, 0), max(p.Nodes, 1)
	g := &generator{
		p: p,
		r: rand.New(rand.NewPCG(p.Seed, 0x616d6269656e74)),
		inv: &api.Inventory{
			TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindInventory},
		},
	}
	g.platform()
	g.namespaces()
	g.services()
	g.batch()
	g.pods()
	g.serviceEntries()
	g.edges()
	g.policies()
	g.routes()
	g.autoscaling()
	g.sort()
	g.coverage()
	return g.inv
}

// object adds an object with a spec.
func (g *generator) object(apiVersion, kind, namespace, name string, owner *api.Owner, spec object) {
	meta := object{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	if owner != nil {
		meta["annotations"] = object{trackingID: owner.Name + ":" + api.GroupOf(apiVersion) + "/" + kind + ":" + namespace + "/" + name}
	}
	g.inv.Objects = append(g.inv.Objects, api.Object{
		APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name, Owner: owner,
		Content: api.Content{"apiVersion": apiVersion, "kind": kind, "metadata": meta, "spec": spec},
	})
}

// chance is true in n of 100 draws.
func (g *generator) chance(n int) bool { return g.r.IntN(100) < n }

// pick draws one of the list, which must not be empty.
func pick[T any](g *generator, from []T) T { return from[g.r.IntN(len(from))] }

// sort puts every list in the order that an inventory has.
func (g *generator) sort() {
	slices.SortFunc(g.inv.Namespaces, func(a, b api.Namespace) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(g.inv.Workloads, func(a, b api.Workload) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(g.inv.Services, func(a, b api.Service) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(g.inv.Objects, func(a, b api.Object) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(g.inv.Edges, func(a, b api.Edge) int {
		return cmp.Or(a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Port, b.Port))
	})
}

// coverage says of every kind that it was seen whole, or that there is none.
func (g *generator) coverage() {
	count := map[[2]string]int{
		{"", "Namespace"}: len(g.inv.Namespaces),
		{"", "Service"}:   len(g.inv.Services),
		{"", "Node"}:      g.p.Nodes,
	}
	for i := range g.inv.Workloads {
		w := &g.inv.Workloads[i]
		count[[2]string{w.Group, w.Kind}]++
		count[[2]string{"", "Pod"}] += w.Pods.Total
	}
	for i := range g.inv.Objects {
		o := &g.inv.Objects[i]
		count[[2]string{api.GroupOf(o.APIVersion), o.Kind}]++
	}
	kept := 0
	for _, k := range api.Kinds() {
		c := api.KindCoverage{Group: k.Group, Kind: k.Kind, State: api.Absent, Count: count[[2]string{k.Group, k.Kind}]}
		if c.Count > 0 {
			c.State = api.Complete
		}
		kept += c.Count
		g.inv.Coverage = append(g.inv.Coverage, c)
	}
	g.inv.Documents = api.DocumentCount{Read: kept, Kept: kept}
}

// numbered is a name that is unique as long as its number is.
func numbered(word string, n int) string { return fmt.Sprintf("%s-%d", word, n) }
