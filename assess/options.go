package assess

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// work is one thing that something has to do here, with how well each option does it.
type work struct {
	words                                     string
	ambient, gateway, cilium, libraries, none how
	// edge is work at the edge, which Istio's gateways do in part, and a data plane in no mode.
	edge bool
}

// how well an option does a thing. The zero value is that it does not.
type how int

const (
	not how = iota
	partly
	does
)

// works lists what is used or required here. How options do it: Istio's ambient overview
// and facts L-01 to L-90; Cilium's documentation 1.20 (WireGuard encrypts between nodes and
// not inside of one; mutual TLS by ztunnel is beta and by namespace; HTTPRoutes of Services
// and layer 7 policies go through the node's Envoy; request visibility needs such a policy).
func (f *facts) works() []work {
	var out []work
	add := func(when bool, w work) {
		if when {
			out = append(out, w)
		}
	}
	encrypted := f.encryption == yes || len(f.strict) > 0 || slices.Contains(f.wants, api.WantEncryption)
	identity := f.identity == yes || len(f.identityPolicies) > 0 || slices.Contains(f.wants, api.WantIdentity)
	add(encrypted, work{words: "encryption between services", ambient: does, cilium: partly, libraries: partly})
	add(identity, work{words: "identity of workloads and policies by it", ambient: does, cilium: partly, libraries: partly})
	add(slices.Contains(f.wants, api.WantPolicy) && !identity, work{words: "policies between services", ambient: does, cilium: does})
	add(f.inside[groupAuthorization] > 0, work{words: string(groupAuthorization), ambient: does, gateway: partly, cilium: partly, libraries: partly})
	add(f.inside[groupRouting] > 0 || slices.Contains(f.wants, api.WantShifting), work{words: string(groupRouting), ambient: does, gateway: partly, cilium: partly})
	add(f.inside[groupResilience] > 0 || slices.Contains(f.wants, api.WantResilience), work{words: string(groupResilience), ambient: does, cilium: partly, libraries: does})
	add(f.inside[groupTelemetry] > 0 || slices.Contains(f.wants, api.WantVisibility), work{words: string(groupTelemetry), ambient: does, gateway: partly, cilium: partly, libraries: partly})
	add(f.inside[groupEgress] > 0, work{words: string(groupEgress), ambient: partly, cilium: partly})
	add(f.inside[groupExtension] > 0, work{words: string(groupExtension), ambient: partly})
	add(len(f.edge) > 0 || f.wantsEdge(), work{words: "traffic that enters from outside", edge: true, ambient: partly, gateway: does, cilium: partly})
	return out
}

// options fills in the comparison for what is here.
func options(f *facts) []api.Option {
	ws := f.works()
	fill := func(o api.Option, of func(work) how) api.Option {
		o.Covers, o.Lacks = []string{}, []string{}
		for _, w := range ws {
			switch of(w) {
			case does:
				o.Covers = append(o.Covers, w.words)
			case partly:
				o.Partly = append(o.Partly, w.words)
			case not:
				o.Lacks = append(o.Lacks, w.words)
			}
		}
		return o
	}
	out := []api.Option{
		fill(api.Option{Name: "Istio in ambient mode", InUse: f.inUse(f.ambientPods > 0, fmt.Sprintf("%s in ambient mode", counted(f.ambientPods, "pod"))),
			Takes: "ztunnel and istio-cni on every node, waypoints for layer 7, and a team that owns upgrades and policies"}, func(w work) how { return w.ambient }),
		fill(api.Option{Name: "Istio with sidecars", InUse: f.inUse(f.sidecars > 0, counted(f.asked, "sidecar")),
			Takes: "a proxy in every pod, restarts of all pods for each upgrade, and a team that owns them"}, func(w work) how {
			if w.edge {
				return partly
			}
			return does
		}),
		fill(api.Option{Name: "a gateway", InUse: f.foundOf(kindGateway, len(f.edge) > 0, counted(len(f.edge), "gateway or ingress object")),
			Takes: "a gateway and its owner; it sees what enters, not what services say to each other"}, func(w work) how { return w.gateway }),
		fill(api.Option{Name: "Cilium", InUse: f.foundOf(kindNetwork, false, ""),
			Takes: "Cilium as the network plugin; layer 7 goes through one Envoy a node, mutual TLS of workloads is beta in 1.20"}, func(w work) how { return w.cilium }),
		fill(api.Option{Name: "libraries in the applications", InUse: "whether they are in use cannot be seen from a cluster",
			Takes: "the same library in every language, and every team to upgrade it"}, func(w work) how { return w.libraries }),
		fill(api.Option{Name: "nothing", InUse: "neither mesh nor gateway", Takes: "nothing"}, func(w work) how { return w.none }),
	}
	if f.otherMesh != "" {
		out = append(out, api.Option{Name: f.otherMesh, InUse: f.foundOf(kindMesh, false, ""), Covers: []string{}, Lacks: []string{},
			Takes: "it is here; what it does was not read, so it is compared with nothing"})
	}
	return out
}

func (f *facts) inUse(is bool, words string) string {
	if is {
		return "here: " + words
	}
	return ""
}

// foundOf lists what was found of a kind.
func (f *facts) foundOf(kind string, also bool, words string) string {
	var out []string
	for _, p := range f.found {
		if p.Kind == kind && (kind != kindNetwork || strings.Contains(p.Name, "Cilium")) {
			if entry := p.Name + " (" + p.What + ")"; !slices.Contains(out, entry) {
				out = append(out, entry)
			}
		}
	}
	if also {
		out = append(out, words)
	}
	if len(out) == 0 {
		return ""
	}
	return "here: " + strings.Join(out, "; ")
}
