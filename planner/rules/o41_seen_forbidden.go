package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var o41 = Rule{
	ID:    "O41",
	Title: "Metrics show calls that policies forbid",
	Doc: Doc{
		Why: "The order of a plan and its proof rest on what policies do today. When metrics show requests of a caller that were answered with success, and the AuthorizationPolicies of the " +
			"server forbid every request of that caller, then something else enforces them than it seems: the server's pods have no sidecar, another port was called, the policy is newer than the " +
			"window, or the metrics are of another cluster.",
		Effect: "the proof compares with a state of today that is not so: calls that work now may be refused as soon as ztunnel or a waypoint enforces the policy, and nobody expects it",
		Remedy: "find out which requests these are (explain shows the window and the query) and why they pass; admit the caller in the policy, or see that it calls no longer, before the Service moves",
		Sources: []string{
			"Istio pilot/pkg/security/authz/builder (what a sidecar makes of AuthorizationPolicies)",
			"istio.io: Istio Standard Metrics (response_code, grpc_response_status)",
		},
		Facts: []string{"O-41", "L-10"},
		Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindEdge, mesh.KindMeshConfig, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkO41,
}

// maxSeenCells bounds the requests that are tried for one call; beyond it nothing is said.
const maxSeenCells = 4096

func checkO41(p *Pass) {
	st := p.Mesh()
	for _, e := range st.Edges() {
		if e.Provenance != api.Observed || e.Seen == nil || e.To.Kind != "Service" {
			continue
		}
		svc := st.Service(e.To.Namespace, e.To.Name)
		if svc == nil {
			continue
		}
		window := "between " + e.Seen.From + " and " + e.Seen.Until
		if e.Seen.Refused {
			p.ReportWith(api.Info, svc.Ref(), fmt.Sprintf("all that %s asked of %s was refused %s", e.From, svc.Ref(), window),
				"nobody misses this call today; a plan keeps it refused", "take the call out of the caller, or admit it, so that its refusals do not look like the migration's", policyEvidence(st.WorkloadsOf(svc), st)...)
			continue
		}
		if !e.Seen.Passed {
			continue
		}
		by, pods := forbidden(st, e, svc)
		if by == "" {
			continue
		}
		p.Report(api.Warning, svc.Ref(), fmt.Sprintf("metrics show that requests of %s to %s were answered with success %s, and every one is forbidden: %s", e.From, svc.Ref(), window, by), policyEvidence(pods, st)...)
	}
}

// forbidden says by what every request of a caller is denied at all pods of a Service, and
// at which; "" when one is admitted, or when it is not known.
func forbidden(st *mesh.State, e api.Edge, svc *api.Service) (by string, pods []*api.Workload) {
	callers := identities(st, e.From)
	for _, w := range st.WorkloadsOf(svc) {
		if m := st.Mode(w); m != mesh.ModeSidecar && m != mesh.ModeNone && m != mesh.ModeMixed {
			return "", nil // ambient pods, where a waypoint may stand between
		}
		why := deniedAt(st, w, svc, callers)
		if why == "" {
			return "", nil
		}
		by, pods = why, append(pods, w)
	}
	return by, pods
}

// identities that a caller may have, as its server sees it: plaintext is always possible.
// One that is nobody of the inventory may have any, so there is none to judge.
func identities(st *mesh.State, from api.Ref) []string {
	var out []string
	for _, w := range st.Clients(from) {
		id := st.TrustDomain() + "/ns/" + w.Namespace + "/sa/" + cmp.Or(w.ServiceAccount, "default")
		if !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	if len(out) > 0 {
		out = append(out, "")
	}
	return out
}

// deniedAt says what denies all requests of some identities to all HTTP ports of a Service
// at one workload; "" when one request is admitted, or may be.
func deniedAt(st *mesh.State, w *api.Workload, svc *api.Service, callers []string) (by string) {
	policies := st.PoliciesFor(w)
	if len(policies) == 0 {
		return ""
	}
	program := st.CompileProxy(policies, false)
	for _, port := range svc.Ports {
		if slices.Contains([]string{"TCP", "TLS", "HTTPS", "Mongo", "Redis", "MySQL", "UDP"}, port.Protocol) {
			continue // nobody counts requests there
		}
		for _, id := range callers {
			base := mesh.Request{Principal: id, Port: portOf(w, port)}
			space := mesh.Space{Policies: policies, Callers: callers, Settings: st.AuthzSettings(), Limit: maxSeenCells}
			cells, ok := space.Cells(base)
			if !ok {
				return ""
			}
			for _, c := range cells {
				v := program.Verdict(c)
				if v.Outcome != mesh.Denied {
					return ""
				}
				by = cmp.Or(by, v.By)
			}
		}
	}
	return by
}

// portOf is the pods' port behind a port of a Service; 0 when it is not known.
func portOf(w *api.Workload, port api.ServicePort) uint16 {
	if port.TargetPort == "" {
		return uint16(port.Port)
	}
	if n, err := strconv.ParseUint(port.TargetPort, 10, 16); err == nil {
		return uint16(n)
	}
	for _, c := range w.Ports {
		if c.Name == port.TargetPort {
			return uint16(c.Port)
		}
	}
	return 0
}

// policyEvidence are the policies of some pods that can refuse. Only their names are
// cited: what stands in them is for other rules to deal with.
func policyEvidence(pods []*api.Workload, st *mesh.State) []api.Evidence {
	var out []api.Evidence
	for _, w := range pods {
		for _, pol := range st.PoliciesFor(w) {
			ev := Field(pol.Ref(), "metadata.name", pol.Name)
			if pol.Spec.GetAction() != security.AuthorizationPolicy_AUDIT && !slices.Contains(out, ev) {
				out = append(out, ev)
			}
		}
	}
	return out
}
