package planner

import (
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// attached judges what is attached to pods by a selector, by a namespace or by
// being in the root namespace.
func (d *disposer) attached(k mesh.Kind, o *api.Object) verdict {
	spec := translate.Spec(o.Content)
	if spec["targetRefs"] != nil || spec["targetRef"] != nil {
		return kept("attached by targetRefs: gateways and waypoints read it, sidecars and ztunnel do not, before as after", "L-15")
	}
	selector := selectorOf(spec)
	if k == mesh.KindSidecar || k == mesh.KindEnvoyFilter {
		selector = stringMapAt(spec, "workloadSelector", "labels")
	}
	r := d.reachOf(d.st.Selected(o.Namespace, selector))
	switch {
	case r.all == 0:
		return kept("it applies to no workload of the mesh, so nothing changes for it", "L-02")
	case r.moving == 0:
		return kept(fmt.Sprintf("the %s that it applies to keep their proxies", counted(r.all, "workload")), "L-02")
	}
	if why := d.waived(o.Ref()); why != "" {
		return dropped("its owner does without it: " + why)
	}
	switch k {
	case mesh.KindAuthorizationPolicy:
		return d.authorizationPolicy(o, r)
	case mesh.KindRequestAuthentication:
		return d.readByProxy(o, r, "tokens would no longer be checked", "L-24", "C-70")
	case mesh.KindWasmPlugin, mesh.KindTrafficExtension:
		return d.readByProxy(o, r, "its filter would no longer run", "L-50", "C-71")
	case mesh.KindTelemetry:
		return d.telemetry(o, r, len(selector) > 0)
	case mesh.KindPeerAuthentication:
		return kept("istiod converts it for ztunnel, which holds to the same mode; the proof counts with it in every state", "L-20", "L-21")
	case mesh.KindSidecar:
		return d.sidecarOnly(r, "what pods see and reach is not limited by it any more", "L-40", "C-74")
	case mesh.KindEnvoyFilter:
		return d.sidecarOnly(r, "neither ztunnel nor a waypoint is patched by it", "L-51", "C-73")
	case mesh.KindProxyConfig:
		return d.sidecarOnly(r, "ztunnel has no settings of this kind", "L-42")
	}
	return blocked("this version does not say what becomes of a " + o.Kind)
}

// authorizationPolicy judges a policy that no step removes or changes.
func (d *disposer) authorizationPolicy(o *api.Object, r reach) verdict {
	copies := len(d.copies[o.Ref()])
	l7 := translate.L7Policy(o.Content)
	switch {
	case !l7 && copies > 0:
		return kept("ztunnel enforces each of its rules as it is written, for what reaches pods directly; the copy holds at the waypoint", "L-03", "L-13")
	case !l7:
		return kept("ztunnel enforces each of its rules as it is written", "L-03")
	case copies == 0 || r.unserved > 0:
		return blocked(fmt.Sprintf("its rules need layer 7, and %s that it applies to move without a waypoint that enforces them", counted(max(r.unserved, 1), "workload")), "L-05", "L-08")
	case r.staying > 0:
		return kept(fmt.Sprintf("%s that keep their proxies still read it; for the others the copy holds at the waypoint", counted(r.staying, "workload")), "C-61")
	}
	return kept("it stays until the namespaces that it applies to have moved as a whole; the copy holds at the waypoint", "C-61")
}

// readByProxy judges what only a proxy of layer 7 reads.
func (d *disposer) readByProxy(o *api.Object, r reach, loss string, facts ...string) verdict {
	switch {
	case len(d.copies[o.Ref()]) == 0 || r.unserved > 0:
		return blocked(fmt.Sprintf("%s for %s that move without a waypoint", loss, counted(max(r.unserved, 1), "workload")), facts...)
	case r.staying > 0:
		return kept(fmt.Sprintf("%s that keep their proxies still read it; for the others the copy holds at the waypoint", counted(r.staying, "workload")), facts...)
	}
	return verdict{api.FateConverted, "the waypoint reads the copy; nothing reads this one once the sidecars are gone", facts}
}

// telemetry judges a Telemetry: waypoints read one without selector as it is.
func (d *disposer) telemetry(o *api.Object, r reach, selects bool) verdict {
	switch {
	case len(d.copies[o.Ref()]) > 0:
		return verdict{api.FateConverted, "the waypoint reads the copy", []string{"L-52", "C-72"}}
	case !selects && r.unserved < r.moving:
		return kept("waypoints read a Telemetry without a selector as it is", "L-52", "C-72")
	case r.staying > 0:
		return kept(fmt.Sprintf("%s that keep their proxies still read it; ztunnel reads none", counted(r.staying, "workload")), "L-52")
	}
	return dropped("no proxy is left that reads it: ztunnel emits its own layer 4 metrics and logs", "L-52", "L-74")
}

// sidecarOnly judges what neither ztunnel nor a waypoint reads.
func (d *disposer) sidecarOnly(r reach, loss string, facts ...string) verdict {
	if r.staying > 0 {
		return kept(fmt.Sprintf("%s that keep their proxies still read it; for those that move %s", counted(r.staying, "workload"), loss), facts...)
	}
	return dropped("no sidecar is left that reads it; "+loss, facts...)
}

// waived is why an owner does without what an object does; empty when nobody said so.
func (d *disposer) waived(ref api.Ref) string {
	for i := range d.p.Decisions {
		for _, n := range d.p.Decisions[i].Waived {
			if slices.ContainsFunc(n.Evidence, func(e api.Evidence) bool { return e.Object == ref }) {
				return string(n.Capability) + " is waived for " + d.p.Decisions[i].Subject.String()
			}
		}
	}
	return ""
}

// networkPolicy judges a NetworkPolicy, which stays: what it lacks is added beside it.
func (d *disposer) networkPolicy(k mesh.Kind, o *api.Object) verdict {
	if k == mesh.KindForeignNetworkPolicy {
		ws := d.st.WorkloadsIn(o.Namespace)
		if o.Namespace == "" {
			ws = nil
			for i := range d.st.Workloads() {
				ws = append(ws, &d.st.Workloads()[i])
			}
		}
		if d.reachOf(ws).moving == 0 {
			return kept("nothing moves where it applies")
		}
		return blocked("ambientplan does not read what a "+o.Kind+" selects: see that it admits TCP 15008 between pods of the mesh and the address of kubelet probes, 169.254.7.127", "P-07", "P-08")
	}
	for _, np := range d.st.NetworkPolicies() {
		if np.Object != o {
			continue
		}
		ws, err := d.st.PolicyPods(np)
		switch {
		case err != nil:
			return blocked("its selector is not valid: " + err.Error())
		case d.reachOf(ws).moving == 0:
			return kept("it selects no pods that move", "P-07")
		}
		beside := api.Ref{Group: "networking.k8s.io", Kind: "NetworkPolicy", Namespace: o.Namespace, Name: shortName(o.Name, "-hbone", 253)}
		if c, ok := d.last[beside]; ok && c.Op == api.OpCreate {
			return kept(fmt.Sprintf("beside it %s admits HBONE from and to the same peers", beside), "P-07", "P-08")
		}
		return kept("it lets HBONE through as it is", "P-07")
	}
	return blocked("it is not among the NetworkPolicies that were read")
}

// stringMapAt reads an object of texts at a path of keys.
func stringMapAt(m map[string]any, path ...string) map[string]string {
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	out := map[string]string{}
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
