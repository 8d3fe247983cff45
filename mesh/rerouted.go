package mesh

import (
	"fmt"
	"maps"
	"slices"
	"sync"

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
// after all that is. Only Traffic and TrafficGroups may be asked of the result. An
// error names the first object whose spec does not fit its kind.
//
// It shares everything but routes with the state that it is made of.
func (s *State) Rerouted(objects map[api.Ref]api.Content, services []api.Service) (*State, error) {
	ix := *s.ix
	ix.raw = maps.Clone(s.ix.raw)
	ix.virtual, ix.destination = withoutGiven(s.ix.virtual, objects), withoutGiven(s.ix.destination, objects)
	ix.httpRoutes, ix.grpcRoutes = withoutGiven(s.ix.httpRoutes, objects), withoutGiven(s.ix.grpcRoutes, objects)
	ix.tcpRoutes, ix.tlsRoutes = withoutGiven(s.ix.tcpRoutes, objects), withoutGiven(s.ix.tlsRoutes, objects)
	there := map[api.Ref]*api.Object{}
	for _, k := range []Kind{KindVirtualService, KindDestinationRule, KindHTTPRoute, KindGRPCRoute, KindTCPRoute, KindTLSRoute} {
		for _, o := range s.ix.raw[k] {
			there[o.Ref()] = o
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(objects), api.Ref.Compare) {
		if objects[ref] == nil {
			continue
		}
		if err := ix.decode(KindOf(ref.Group, ref.Kind), planned(ref, objects[ref], there[ref])); err != nil {
			return nil, fmt.Errorf("%s: %w", ref, err)
		}
	}
	sortTyped(ix.virtual)
	sortTyped(ix.destination)
	sortTyped(ix.httpRoutes)
	sortTyped(ix.grpcRoutes)
	sortTyped(ix.tcpRoutes)
	sortTyped(ix.tlsRoutes)
	if len(services) > 0 {
		ix.hosts, ix.services = maps.Clone(ix.hosts), maps.Clone(ix.services)
		for i := range services {
			svc := &services[i]
			ix.hosts[svc.Name+"."+svc.Namespace+".svc."+ix.clusterDomain] = svc
			ix.services[nsName{svc.Namespace, svc.Name}] = svc
		}
	}
	ix.traffic = sync.OnceValue(func() *trafficIndex { return newTrafficIndex(&ix) })
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

// withoutGiven is a list without the objects that are given anew or are gone.
func withoutGiven[T any](list []Typed[T], objects map[api.Ref]api.Content) []Typed[T] {
	out := make([]Typed[T], 0, len(list)+len(objects))
	for _, o := range list {
		if _, ok := objects[o.Ref()]; !ok {
			out = append(out, o)
		}
	}
	return out
}

func sortTyped[T any](list []Typed[T]) {
	slices.SortFunc(list, func(a, b Typed[T]) int { return a.Ref().Compare(b.Ref()) })
}
