package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// createdLater is the time of creation of what a plan creates: whatever its date will
// be, it is younger than all that is there today.
const createdLater = "9999-12-31T23:59:59Z"

// RoutingObject tells whether a kind of object decides which routes and traffic
// policies act on calls, as far as Rerouted can change it.
func RoutingObject(group, kind string) bool {
	switch KindOf(group, kind) {
	case KindVirtualService, KindDestinationRule, KindHTTPRoute, KindGRPCRoute, KindTCPRoute, KindTLSRoute:
		return true
	}
	return false
}

// Rerouted is the state with other routes and traffic policies: VirtualServices,
// DestinationRules and routes of the Gateway API as they are given, nil for one that
// is gone, and Services that are new. What is given and not in the state was created
// after all that is. Only Traffic and TrafficGroups may be asked of the result, and
// when svc is not nil only about calls of it: then nothing but what may act on those is
// read, so that many such states of a large mesh can be made. An error names the first
// object whose spec does not fit its kind.
func (s *State) Rerouted(svc *api.Service, objects map[api.Ref]api.Content, services []api.Service) (*State, error) {
	ix := *s.ix
	ix.raw = nil
	from := s.ix.sources()
	if svc != nil {
		from = s.narrowed(svc, objects)
	}
	ix.virtual, ix.destination = given(from.virtual, objects), given(from.destination, objects)
	ix.httpRoutes, ix.grpcRoutes = given(from.http, objects), given(from.grpc, objects)
	ix.tcpRoutes, ix.tlsRoutes = given(from.tcp, objects), given(from.tls, objects)
	all := s.ix.sources()
	for _, ref := range slices.SortedFunc(maps.Keys(objects), api.Ref.Compare) {
		if objects[ref] == nil {
			continue
		}
		if err := ix.decode(KindOf(ref.Group, ref.Kind), planned(ref, objects[ref], all.there[ref])); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	}
	sortTyped(ix.virtual)
	sortTyped(ix.destination)
	sortTyped(ix.httpRoutes)
	sortTyped(ix.grpcRoutes)
	sortTyped(ix.tcpRoutes)
	sortTyped(ix.tlsRoutes)
	ix.more = map[string]*api.Service{}
	for i := range services {
		ix.more[services[i].Name+"."+services[i].Namespace+".svc."+ix.clusterDomain] = &services[i]
	}
	base := s.ix.traffic()
	ix.traffic = sync.OnceValue(func() *trafficIndex { return base.rebuilt(&ix) })
	return &State{ix: &ix, seen: s.seen}, nil
}

// planned is an object as a plan leaves it: with the age of the one that is there
// today, or younger than everything.
func planned(ref api.Ref, c api.Content, today *api.Object) *api.Object {
	version, _ := c["apiVersion"].(string)
	out := &api.Object{APIVersion: version, Kind: ref.Kind, Cluster: ref.Cluster, Namespace: ref.Namespace, Name: ref.Name}
	out.Content = maps.Clone(c)
	meta, _ := c["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	if meta == nil {
		meta = map[string]any{}
	}
	delete(meta, "creationTimestamp")
	if today == nil {
		meta["creationTimestamp"] = createdLater
	} else if at, ok := created(today); ok {
		meta["creationTimestamp"] = at
	}
	out.Content["metadata"] = meta
	return out
}

// routeSources are the objects that routes and traffic policies are read from.
type routeSources struct {
	virtual     map[api.Ref]Typed[*networking.VirtualService]
	destination map[api.Ref]Typed[*networking.DestinationRule]
	http        map[api.Ref]Typed[*gwv1.HTTPRouteSpec]
	grpc        map[api.Ref]Typed[*gwv1.GRPCRouteSpec]
	tcp         map[api.Ref]Typed[*gwv1.TCPRouteSpec]
	tls         map[api.Ref]Typed[*gwv1.TLSRouteSpec]
	there       map[api.Ref]*api.Object
	// delegates are VirtualServices without hosts; they may belong to any route.
	delegates []api.Ref
	// rules are the DestinationRules by host, those with a wildcard under "*".
	rules map[string][]api.Ref
}

func newRouteSources(ix *index) *routeSources {
	out := &routeSources{there: map[api.Ref]*api.Object{}, rules: map[string][]api.Ref{}}
	out.virtual, out.destination = byRef(ix.virtual, out.there), byRef(ix.destination, out.there)
	out.http, out.grpc, out.tcp, out.tls = byRef(ix.httpRoutes, out.there), byRef(ix.grpcRoutes, out.there), byRef(ix.tcpRoutes, out.there), byRef(ix.tlsRoutes, out.there)
	for _, v := range ix.virtual {
		if len(v.Spec.GetHosts()) == 0 {
			out.delegates = append(out.delegates, v.Ref())
		}
	}
	for _, d := range ix.destination {
		h := strings.ToLower(ix.resolveHost(d.Spec.GetHost(), d.Namespace))
		if isWildcard(h) {
			h = "*"
		}
		out.rules[h] = append(out.rules[h], d.Ref())
	}
	return out
}

func byRef[T any](list []Typed[T], there map[api.Ref]*api.Object) map[api.Ref]Typed[T] {
	out := make(map[api.Ref]Typed[T], len(list))
	for _, o := range list {
		out[o.Ref()], there[o.Ref()] = o, o.Object
	}
	return out
}

// narrowed are the objects that may act on calls of a Service, whatever objects are
// given: the routes for its host and for parts of its name, those of gateways that
// lead to it, and the policies for all that these, or the given objects, lead to.
func (s *State) narrowed(svc *api.Service, objects map[api.Ref]api.Content) *routeSources {
	x, all := s.ix.traffic(), s.ix.sources()
	host := s.serviceHost(svc)
	refs, hosts := map[api.Ref]bool{}, map[string]bool{host: true, "*": true}
	note := func(r *trafficRoute) {
		refs[r.ref] = true
		for _, list := range [][]routeEntry{r.http, r.tcp, r.tls} {
			for _, e := range list {
				refs[e.object] = true
				for _, d := range e.to {
					hosts[d.host] = true
				}
			}
		}
	}
	for _, h := range []string{host, svc.Name + "." + svc.Namespace, svc.Name + "." + svc.Namespace + ".svc"} {
		for _, r := range x.exact[h] {
			note(r)
		}
	}
	for _, r := range x.wildcard {
		note(r)
	}
	for _, b := range x.bound[host] {
		note(b.route)
	}
	for _, r := range all.delegates {
		refs[r] = true
	}
	for ref, c := range objects {
		for _, h := range namedHosts(s.ix, ref.Namespace, c["spec"]) {
			hosts[h] = true
		}
	}
	for h := range hosts {
		for _, r := range all.rules[h] {
			refs[r] = true
		}
	}
	return all.only(refs)
}

// namedHosts are all hosts that a spec may mean, anywhere in it: what stands under
// "host", and Services by name.
func namedHosts(ix *index, namespace string, v any) []string {
	var out []string
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			out = append(out, namedHosts(ix, namespace, e)...)
		}
	case map[string]any:
		if h, ok := v["host"].(string); ok {
			out = append(out, strings.ToLower(ix.resolveHost(h, namespace)))
		}
		if name, ok := v["name"].(string); ok {
			ns := namespace
			if o, ok := v["namespace"].(string); ok {
				ns = o
			}
			out = append(out, strings.ToLower(name+"."+ns+".svc."+ix.clusterDomain))
		}
		for _, e := range v {
			out = append(out, namedHosts(ix, namespace, e)...)
		}
	}
	return out
}

// only are some of the objects.
func (r *routeSources) only(refs map[api.Ref]bool) *routeSources {
	out := &routeSources{}
	out.virtual, out.destination = chosen(r.virtual, refs), chosen(r.destination, refs)
	out.http, out.grpc, out.tcp, out.tls = chosen(r.http, refs), chosen(r.grpc, refs), chosen(r.tcp, refs), chosen(r.tls, refs)
	return out
}

func chosen[T any](all map[api.Ref]Typed[T], refs map[api.Ref]bool) map[api.Ref]Typed[T] {
	out := map[api.Ref]Typed[T]{}
	for ref := range refs {
		if o, ok := all[ref]; ok {
			out[ref] = o
		}
	}
	return out
}

// given is a list without the objects that are given anew or are gone.
func given[T any](from map[api.Ref]Typed[T], objects map[api.Ref]api.Content) []Typed[T] {
	out := make([]Typed[T], 0, len(from)+1)
	for ref, o := range from {
		if _, ok := objects[ref]; !ok {
			out = append(out, o)
		}
	}
	return out
}

func sortTyped[T any](list []Typed[T]) {
	slices.SortFunc(list, func(a, b Typed[T]) int { return a.Ref().Compare(b.Ref()) })
}
