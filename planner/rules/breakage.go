package rules

// Breakage is one of the known ways in which migrations from sidecars to ambient
// mode broke, and what of ambientplan foresees it. The list is that of facts B-01
// to B-15 in docs/facts.md; docs/breakages.md is written from it.
type Breakage struct {
	// ID as in "B-07", with the hyphen: rules have ids without one ("B08").
	ID string
	// Title in a few words.
	Title string
	// Fails is "open" when traffic is let through that was denied, "closed" when
	// traffic is denied that was let through, "degraded" otherwise; or two of them.
	Fails string
	// Evidence names where it happened, for people who want to read on.
	Evidence string
	// Rules foresee it from an inventory. Each finds it in the worked example
	// testdata/breakages/ID.txtar.
	Rules []string
	// Plan says what the plan does so that its own steps do not cause it, and what
	// is left to a check while it is carried out.
	Plan string
}

// Breakages lists all of them in the order of their ids. It returns a new slice at each call.
func Breakages() []Breakage {
	return []Breakage{
		{"B-01", "A DENY with paths, methods or claims silently stops working", "open", "istio/istio issue 61126, pull request 61166, issue 54275",
			[]string{"L08"}, "gives the Service a waypoint, copies the policy to it, and removes the one by selector only once nobody reads it; each state is compared with today"},
		{"B-02", "An ALLOW with layer 7 fields, left on the pods, denies everything", "closed", "istio.io: Use Layer 4 security policy; facts L-05",
			[]string{"L05"}, "puts an ALLOW of the layer 4 part in its place before the pods become ambient"},
		{"B-03", "Pods behind a new waypoint refuse the waypoint", "closed", "istio/istio issues 44256 and 44671, istio.io issue 16586",
			[]string{"B03", "L13a"}, "admits the waypoint's identity on the pods in its prepare step, before the label that sends callers through the waypoint"},
		{"B-04", "Callers with sidecars go past the waypoint and its policies", "open", "istio/istio issues 51445, 57213, 57729 and 61620",
			[]string{"B04"}, "moves callers before servers, and denies everybody but the waypoint at the pods; what it cannot order so is a finding with the request that slips through"},
		{"B-05", "Ingress traffic goes past the waypoint", "open", "istio/istio issues 51214 and 56991",
			[]string{"B05", "L41"}, "labels every Service that it sends to a waypoint istio.io/ingress-use-waypoint=true"},
		{"B-06", "A label or a policy names a waypoint that is missing, of the wrong kind, or not allowed", "open", "istio/istio issues 57315 and 52527, istio.io pull request 17520",
			[]string{"E18", "L15"}, "creates the Gateways first, and each activate step begins with the check that they are programmed and have two ready pods"},
		{"B-07", "RequestAuthentication, CUSTOM, Wasm and Telemetry by selector are still there and do nothing", "open", "istio/istio issue 45502; facts L-01, L-24, L-50, L-52",
			[]string{"L01", "L24", "L50", "L52"}, "gives their Services a waypoint and attaches copies to it with targetRefs"},
		{"B-08", "Policies for a whole namespace or mesh are taken to act at waypoints", "open or closed", "istio/istio issues 58838 and 58316",
			[]string{"B08"}, "copies them to each Service that gets a waypoint; Services made later are for a person to cover"},
		{"B-09", "A NetworkPolicy blocks TCP 15008 or the address of the probes", "closed", "istio/istio issue 52742, istio.io issues 15580 and 16223",
			[]string{"P07", "P08"}, "opens 15008 for the same peers in its prepare step; policies of Cilium and Calico are for a person to change"},
		{"B-10", "Probes of captured pods fail on some network plugins", "closed", "istio/istio issues 52208, 57911, 52765 and 53105",
			[]string{"P09"}, "asks for a canary pod with TCP and HTTP probes on every kind of node in wave 0"},
		{"B-11", "Traffic shaping disappears: subsets, timeouts, retries, balancing, routes of clients", "degraded", "istio/istio issues 53508, 55271, 56864 and 51565",
			[]string{"L30", "L33", "L71"}, "gives the Service a waypoint and converts or keeps its routes there, with the proof that both mean the same"},
		{"B-12", "Capture exclusions, REGISTRY_ONLY and limits on egress have no counterpart", "open or degraded", "istio/istio issues 49829 and 54281",
			[]string{"L40", "L60", "L80"}, "keeps the sidecar where an exclusion is in use, and leaves limits on egress to a person"},
		{"B-13", "Mutual TLS does not match: sidecars without HBONE, DISABLE, scrapers of port 15020", "closed", "istio/istio issue 53942",
			[]string{"L22", "L63", "M02"}, "restarts every sidecar once in wave 0, before the first ambient caller"},
		{"B-14", "Protocols that nobody declared hang behind a waypoint; headless Services are outside of it", "closed or open", "istio/istio issue 55420, pull request 58774",
			[]string{"M24", "M25"}, "binds Services one by one and not whole namespaces to waypoints, so that only those that need one are behind it"},
		{"B-15", "Definitions of the Gateway API are too old or too new, and routes are ignored", "degraded", "release note of IST0176; facts P-05, P-06",
			[]string{"P05", "P06"}, "names the bundle that fits the version of istiod in wave 0"},
	}
}
