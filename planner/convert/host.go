package convert

import (
	"fmt"
	"slices"
	"strings"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// conversion is the work on one host.
type conversion struct {
	*notes
	st      *mesh.State
	cluster Cluster
	names   *names
	target  target
	// versions are the Services for the subsets that the routes lead to, by namespace and name.
	versions map[string]*version
}

// target is the parent of the routes: what stands for the host.
type target struct {
	host string
	// ref is the Service or ServiceEntry.
	ref   api.Ref
	ports []api.ServicePort
	// headless and external Services have no subsets that could be Services.
	service *api.Service
}

// speaksHTTP tells whether proxies read HTTP on a port: it is declared, or nothing is and they sniff.
func speaksHTTP(p api.ServicePort) bool {
	if p.Transport != "" && p.Transport != "TCP" {
		return false
	}
	switch strings.ToUpper(p.Protocol) {
	case "", "HTTP", "HTTP2", "GRPC", "GRPC-WEB":
		return true
	}
	return false
}

func (t target) httpPorts() []int32 {
	var out []int32
	for _, p := range t.ports {
		if speaksHTTP(p) && !slices.Contains(out, p.Port) {
			out = append(out, p.Port)
		}
	}
	slices.Sort(out)
	return out
}

// parent refers to the target from a route, for all its ports or for one.
func (t target) parent(port int32) gwv1.ParentReference {
	group, kind := gwv1.Group(""), gwv1.Kind("Service")
	if t.ref.Kind == "ServiceEntry" {
		group, kind = "networking.istio.io", "ServiceEntry"
	}
	p := gwv1.ParentReference{Group: &group, Kind: &kind, Name: gwv1.ObjectName(t.ref.Name)}
	if port != 0 {
		n := gwv1.PortNumber(port)
		p.Port = &n
	}
	return p
}

// Host converts the VirtualServices that a waypoint applies to a host, given oldest first. A host that neither a
// Service nor a ServiceEntry declares is blocked.
func Host(st *mesh.State, c Cluster, host string, vs []mesh.Typed[*networking.VirtualService]) HostResult {
	return newNames(st).host(st, c, host, vs)
}

func (n *names) host(st *mesh.State, cluster Cluster, host string, vs []mesh.Typed[*networking.VirtualService]) HostResult {
	out := HostResult{Host: host}
	for _, v := range vs {
		out.VirtualServices = append(out.VirtualServices, v.Ref())
	}
	c := &conversion{notes: &notes{}, st: st, cluster: cluster, names: n, versions: map[string]*version{}}
	var objects []api.Content
	if c.findTarget(host, vs) {
		out.Service = c.target.ref
		for _, v := range vs {
			c.object(v)
		}
		c.otherRoutes(vs)
		objects = append(c.http(vs), c.l4(vs)...)
		objects = append(objects, c.versionObjects()...)
	}
	out.Class, out.Dropped = c.class(), tidy(c.dropped)
	out.Why = tidy(append(slices.Clone(c.blocked), c.kept...))
	if out.Class == Converted {
		out.Objects, out.Versions = sortObjects(objects), c.stands()
	}
	return out
}

// findTarget looks for what stands for the host (facts C-10, C-11).
func (c *conversion) findTarget(host string, vs []mesh.Typed[*networking.VirtualService]) bool {
	c.target.host = host
	where := func(f func(o *api.Object, path string)) {
		for _, v := range vs {
			for i, h := range v.Spec.GetHosts() {
				if c.st.ResolveHost(h, v.Namespace) == host {
					f(v.Object, fmt.Sprintf("spec.hosts[%d]", i))
				}
			}
		}
	}
	if strings.Contains(host, "*") {
		where(func(o *api.Object, path string) {
			c.notes.keep(o, path, "C-11", "a wildcard host has no Service that a route could be attached to")
		})
		return false
	}
	entries := c.st.EntriesByHost(host)
	if svc, exact := c.st.ServiceByHost(host, ""); svc != nil && exact {
		c.target.ref, c.target.ports, c.target.service = svc.Ref(), svc.Ports, svc
		if len(entries) > 0 {
			where(func(o *api.Object, path string) {
				c.notes.keep(o, path, "C-11", fmt.Sprintf("%s declares the host of %s too", entries[0].Ref(), svc.Ref()))
			})
		}
		return true
	}
	switch {
	case len(entries) == 0:
		where(func(o *api.Object, path string) {
			c.notes.block(o, path, "C-11", fmt.Sprintf("neither a Service nor a ServiceEntry is %s", host), "correct the host, or declare it by a ServiceEntry")
		})
		return false
	case len(entries) > 1:
		where(func(o *api.Object, path string) {
			c.notes.keep(o, path, "C-11", fmt.Sprintf("%d ServiceEntries declare the host", len(entries)))
		})
	case len(entries[0].Spec.GetHosts()) > 1:
		where(func(o *api.Object, path string) {
			c.notes.keep(o, path, "C-11", fmt.Sprintf("%s has other hosts too, and a route is for all of them", entries[0].Ref()))
		})
	}
	e := entries[0]
	c.target.ref, c.target.ports = e.Ref(), entryPorts(e.Spec)
	return true
}

func entryPorts(e *networking.ServiceEntry) []api.ServicePort {
	var out []api.ServicePort
	for _, p := range e.GetPorts() {
		out = append(out, api.ServicePort{Name: p.GetName(), Port: int32(p.GetNumber()), Protocol: p.GetProtocol()})
	}
	return out
}

// object looks at what a VirtualService says for all its rules.
func (c *conversion) object(v mesh.Typed[*networking.VirtualService]) {
	if v.Namespace != c.target.ref.Namespace && v.Namespace != c.waypointNamespace() {
		c.block(v.Object, "metadata.namespace", "L-30", fmt.Sprintf("it is not in the namespace of %s: a waypoint ignores it, and only sidecars of the callers apply it", c.target.ref),
			"move it to the namespace of the service, where it holds for all callers, or give these callers a Service of their own")
	}
	if !slices.ContainsFunc(v.Spec.GetHosts(), func(h string) bool { return c.st.ResolveHost(h, v.Namespace) == c.target.host }) {
		c.notes.keep(v.Object, "spec.hosts", "C-11", fmt.Sprintf("it holds for %s by a wildcard, for which there is no route", c.target.host))
	}
	c.exported(v)
	c.unknownField(v.Object)
	if len(v.Spec.GetHttp())+len(v.Spec.GetTcp())+len(v.Spec.GetTls()) == 0 {
		c.block(v.Object, "spec", "L-30", "it has no rules", refused)
	}
}

// unknownField blocks an object with a field that nobody knows.
func (c *conversion) unknownField(o *api.Object) {
	if f := mesh.UnknownField(o); f != "" {
		c.block(o, "spec."+f, "L-30", "VirtualServices have no such field, so what was meant by it is lost", "correct or remove the field")
	}
}

// waypointNamespace is where the waypoint of the host is, by the labels of today; that of the service when they do not
// say (facts L-30).
func (c *conversion) waypointNamespace() string {
	const key = "istio.io/use-waypoint-namespace"
	if svc := c.target.service; svc != nil && svc.Labels[key] != "" {
		return svc.Labels[key]
	}
	if ns := c.st.Namespace(c.target.ref.Namespace); ns != nil && ns.Labels[key] != "" {
		return ns.Labels[key]
	}
	return c.target.ref.Namespace
}

// exported looks at exportTo (facts C-13).
func (c *conversion) exported(v mesh.Typed[*networking.VirtualService]) {
	export := c.st.VirtualServiceExport(v)
	if slices.Contains(export, "*") {
		if len(v.Spec.GetExportTo()) > 0 {
			c.drop(v.Object, "spec.exportTo", "C-13", "it is for every namespace, as routes are")
		}
		return
	}
	there := false
	for _, ns := range export {
		there = there || ns != "~" && (c.st.Namespace(ns) != nil || len(c.st.WorkloadsIn(ns)) > 0 || len(c.st.ServicesIn(ns)) > 0)
	}
	switch {
	case !there:
		c.block(v.Object, "spec.exportTo", "C-13", "it is exported to no namespace that exists, so nobody applies it", "correct exportTo, or remove the VirtualService")
	case len(v.Spec.GetExportTo()) > 0:
		c.notes.keep(v.Object, "spec.exportTo", "C-13", "a route is for the callers of all namespaces, the VirtualService for some")
	default:
		c.notes.keep(v.Object, "spec.exportTo", "C-13", "the mesh exports VirtualServices to some namespaces only, and a route is for the callers of all")
	}
}

// backend is a destination as routes refer to it (facts C-28, C-29). A destination without a port means the only port
// of its service, or else the port that the request came to.
func (c *conversion) backend(o *api.Object, namespace, path string, d *networking.Destination, port int32) (gwv1.BackendRef, bool) {
	if d.GetHost() == "" {
		c.block(o, path, "C-28", "a destination has no host", refused)
		return gwv1.BackendRef{}, false
	}
	host := c.st.ResolveHost(d.GetHost(), namespace)
	svc, exact := c.st.ServiceByHost(host, "")
	entries := c.st.EntriesByHost(host)
	var ports []api.ServicePort
	var ref gwv1.BackendRef
	switch {
	case svc != nil && exact:
		ports, ref.Name = svc.Ports, gwv1.ObjectName(svc.Name)
		if svc.Namespace != c.target.ref.Namespace {
			ns := gwv1.Namespace(svc.Namespace)
			ref.Namespace = &ns
		}
	case len(entries) > 0:
		for _, e := range entries {
			ports = append(ports, entryPorts(e.Spec)...)
		}
		group, kind := gwv1.Group("networking.istio.io"), gwv1.Kind("Hostname")
		ref.Group, ref.Kind, ref.Name = &group, &kind, gwv1.ObjectName(host)
	default:
		c.block(o, path+".host", "C-28", fmt.Sprintf("neither a Service nor a ServiceEntry is %s", host), "correct the host, or declare it by a ServiceEntry")
		return ref, false
	}
	number := int32(d.GetPort().GetNumber())
	if d.GetPort() == nil {
		number = port
		if len(ports) == 1 {
			number = ports[0].Port
		}
	}
	if !slices.ContainsFunc(ports, func(p api.ServicePort) bool { return p.Port == number }) {
		c.block(o, path+".port", "C-28", fmt.Sprintf("%s has no port %d", host, number), "correct the port, or add it to the service")
		return ref, false
	}
	n := gwv1.PortNumber(number)
	ref.Port = &n
	if d.GetSubset() != "" {
		name, ok := c.subset(o, path, host, svc, d.GetSubset())
		if !ok {
			return ref, false
		}
		ref.Name = gwv1.ObjectName(name)
	}
	return ref, true
}

// otherRoutes looks for routes of the Gateway API that are on the host already: with new ones istiod would sort them
// together (facts C-02, L-30).
func (c *conversion) otherRoutes(vs []mesh.Typed[*networking.VirtualService]) {
	note := func(o *api.Object, parents []gwv1.ParentReference) {
		if o.Labels()[translate.LabelManaged] == translate.ManagedBy {
			return
		}
		for _, p := range parents {
			ns := o.Namespace
			if p.Namespace != nil {
				ns = string(*p.Namespace)
			}
			if p.Kind != nil && string(*p.Kind) == c.target.ref.Kind && string(p.Name) == c.target.ref.Name && ns == c.target.ref.Namespace {
				for _, v := range vs {
					c.notes.keep(v.Object, "spec.hosts", "C-02", fmt.Sprintf("%s is a route of the host already, and istiod would sort its rules among the new ones", o.Ref()))
				}
				return
			}
		}
	}
	for _, r := range c.st.HTTPRoutes() {
		note(r.Object, r.Spec.ParentRefs)
	}
	for _, r := range c.st.GRPCRoutes() {
		note(r.Object, r.Spec.ParentRefs)
	}
	for _, r := range c.st.TCPRoutes() {
		note(r.Object, r.Spec.ParentRefs)
	}
	for _, r := range c.st.TLSRoutes() {
		note(r.Object, r.Spec.ParentRefs)
	}
}
