package mesh

import (
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// standsFor finds the Services that have the endpoints of a subset of another Service
// of their namespace: their selector is that of the other one with the labels of the
// subset, and their ports lead to the same ports of the pods. Leading to the one is
// then the same as leading to the other, but for what DestinationRules set (facts C-50).
func (x *trafficIndex) standsFor() map[string]RouteTarget {
	out := map[string]RouteTarget{}
	var bySelector map[string][]*api.Service
	for _, d := range x.ix.destination {
		if len(d.Spec.GetSubsets()) == 0 {
			continue
		}
		if bySelector == nil {
			bySelector = servicesBySelector(maps.Values(x.ix.services))
		}
		x.standFor(d, bySelector, out)
	}
	return out
}

// standsOfNew does the same for the Services of a rerouted state that the inventory
// does not hold, by the subsets that are known there or in the state of the inventory.
func (x *trafficIndex) standsOfNew(base *trafficIndex) map[string]RouteTarget {
	if len(x.ix.more) == 0 {
		return nil
	}
	out := map[string]RouteTarget{}
	bySelector := servicesBySelector(maps.Values(x.ix.more))
	spaces := map[string]bool{}
	for _, svc := range x.ix.more {
		spaces[svc.Namespace] = true
	}
	for _, list := range [][]Typed[*networking.DestinationRule]{base.ix.destination, x.ix.destination} {
		for _, d := range list {
			if spaces[d.Namespace] {
				x.standFor(d, bySelector, out)
			}
		}
	}
	return out
}

// standFor adds the Services that stand for the subsets of one DestinationRule.
func (x *trafficIndex) standFor(d Typed[*networking.DestinationRule], bySelector map[string][]*api.Service, out map[string]RouteTarget) {
	host := strings.ToLower(x.ix.resolveHost(d.Spec.GetHost(), d.Namespace))
	of := x.ix.serviceAt(host)
	if of == nil || len(of.Selector) == 0 {
		return
	}
	for _, sub := range d.Spec.GetSubsets() {
		want, ok := joined(of.Selector, sub.GetLabels())
		if !ok {
			continue
		}
		for _, svc := range bySelector[of.Namespace+" "+selectorKey(want)] {
			h := strings.ToLower(svc.Name + "." + svc.Namespace + ".svc." + x.ix.clusterDomain)
			if _, known := out[h]; !known && svc != of && sameEndpointPorts(svc, of) {
				out[h] = RouteTarget{Host: host, Subset: sub.GetName()}
			}
		}
	}
}

// standing are the Services among the destinations of a call that stand for subsets.
func (x *trafficIndex) standing(a Acting) map[string]RouteTarget {
	list := a.Destinations
	if a.Then != nil {
		list = append(slices.Clone(list), a.Then.Destinations...)
	}
	var out map[string]RouteTarget
	for _, d := range list {
		rest, _, _ := strings.Cut(d, "/")
		host, _, _ := strings.Cut(rest, ":")
		x.stand(host, &out)
	}
	return out
}

// standingAmong are those among some destinations.
func (x *trafficIndex) standingAmong(list []destination) map[string]RouteTarget {
	var out map[string]RouteTarget
	for _, d := range list {
		x.stand(d.host, &out)
	}
	return out
}

func (x *trafficIndex) stand(host string, out *map[string]RouteTarget) {
	t, ok := x.more[host]
	if !ok {
		t, ok = x.stands[host]
	}
	if !ok {
		return
	}
	if *out == nil {
		*out = map[string]RouteTarget{}
	}
	(*out)[host] = t
}

// serviceAt is the Service of a host.
func (ix *index) serviceAt(host string) *api.Service {
	if svc := ix.more[host]; svc != nil {
		return svc
	}
	return ix.hosts[host]
}

// servicesBySelector are the Services by namespace and selector, each list by name.
func servicesBySelector(services iter.Seq[*api.Service]) map[string][]*api.Service {
	out := map[string][]*api.Service{}
	for svc := range services {
		if len(svc.Selector) > 0 {
			k := svc.Namespace + " " + selectorKey(svc.Selector)
			out[k] = append(out[k], svc)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b *api.Service) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

func selectorKey(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b.WriteString(strconv.Quote(k) + "=" + strconv.Quote(m[k]) + ",")
	}
	return b.String()
}

// joined are two sets of labels as one; false when they contradict each other.
func joined(a, b map[string]string) (map[string]string, bool) {
	out := maps.Clone(a)
	for k, v := range b {
		if old, ok := out[k]; ok && old != v {
			return nil, false
		}
		out[k] = v
	}
	return out, true
}

// sameEndpointPorts tells whether a Service has the ports of another, for the same
// ports of the pods and with the same protocol, and counts the same pods as ready.
func sameEndpointPorts(a, b *api.Service) bool {
	if a.PublishNotReady != b.PublishNotReady || a.Headless != b.Headless || len(a.Ports) != len(b.Ports) {
		return false
	}
	for _, p := range a.Ports {
		if !slices.ContainsFunc(b.Ports, func(o api.ServicePort) bool {
			return o.Port == p.Port && targetOf(o) == targetOf(p) && transportOf(o) == transportOf(p) &&
				(o.Name == p.Name && o.AppProtocol == p.AppProtocol || o.Protocol == p.Protocol && p.Protocol != "")
		}) {
			return false
		}
	}
	return true
}

func targetOf(p api.ServicePort) string {
	if p.TargetPort == "" {
		return strconv.Itoa(int(p.Port))
	}
	return p.TargetPort
}

func transportOf(p api.ServicePort) string {
	if p.Transport == "" {
		return "TCP"
	}
	return p.Transport
}
