package v1alpha1

// Capability is a feature of the mesh that a service needs.
type Capability string

// The closed set of capabilities.
const (
	// Layer 4: ztunnel alone provides these.
	CapMTLS            Capability = "mtls"
	CapL4Authorization Capability = "l4-authorization"

	// Layer 7: a waypoint provides these.
	CapL7Authorization       Capability = "l7-authorization"
	CapExternalAuthorization Capability = "external-authorization"
	CapAuditPolicy           Capability = "audit-policy"
	CapRequestAuthentication Capability = "request-authentication"
	CapHTTPRouting           Capability = "http-routing"
	CapTCPRouting            Capability = "tcp-routing"
	CapTLSRouting            Capability = "tls-routing"
	CapRetries               Capability = "retries"
	CapTimeouts              Capability = "timeouts"
	CapFaultInjection        Capability = "fault-injection"
	CapMirroring             Capability = "mirroring"
	CapHeaderManipulation    Capability = "header-manipulation"
	CapRewrite               Capability = "rewrite"
	CapRedirect              Capability = "redirect"
	CapCORS                  Capability = "cors"
	CapLoadBalancing         Capability = "load-balancing"
	CapRequestBalancing      Capability = "request-balancing"
	CapCircuitBreaking       Capability = "circuit-breaking"
	CapOutlierDetection      Capability = "outlier-detection"
	CapLocality              Capability = "locality-load-balancing"
	CapTLSOrigination        Capability = "tls-origination"
	CapWasm                  Capability = "wasm"
	CapExtension             Capability = "traffic-extension"
	CapL7Telemetry           Capability = "l7-telemetry"
	CapTracing               Capability = "tracing"
	CapL7Egress              Capability = "l7-egress"

	// Only a sidecar provides these.
	CapSidecar          Capability = "sidecar"
	CapEnvoyFilter      Capability = "envoy-filter"
	CapCaptureExclusion Capability = "capture-exclusion"
	CapEgressScope      Capability = "egress-scope"
	CapClientRouting    Capability = "client-side-routing"
	CapSourceRouting    Capability = "source-routing"
	CapSubsetPolicy     Capability = "pod-subset-policy"
	CapProxylessGRPC    Capability = "proxyless-grpc"
	CapExternalIdentity Capability = "external-identity"
	CapVirtualMachine   Capability = "virtual-machine"
	CapWindows          Capability = "windows"
	CapPlaintextOnly    Capability = "plaintext-only"
	CapReservedPort     Capability = "reserved-port"
	CapPrimaryRemote    Capability = "primary-remote"
	CapHumanDecision    Capability = "human-decision"
)

// Tier is what provides a capability in ambient mode.
type Tier int

// Tiers in the order of their cost.
const (
	// TierUnknown is the tier of a capability that this version does not know.
	TierUnknown Tier = iota
	// TierZtunnel: layer 4 is enough.
	TierZtunnel
	// TierWaypoint: a waypoint is needed.
	TierWaypoint
	// TierSidecar: nothing in ambient mode provides it; the sidecar can stay.
	TierSidecar
	// TierBlocked: a person must decide or change something before the subject can move.
	TierBlocked
)

// Capabilities lists the closed set with the tier of each, in the order of
// this file. It returns a new slice at each call.
func Capabilities() []CapabilityTier {
	return []CapabilityTier{
		{CapMTLS, TierZtunnel}, {CapL4Authorization, TierZtunnel},
		{CapL7Authorization, TierWaypoint}, {CapExternalAuthorization, TierWaypoint}, {CapAuditPolicy, TierWaypoint},
		{CapRequestAuthentication, TierWaypoint}, {CapHTTPRouting, TierWaypoint}, {CapTCPRouting, TierWaypoint},
		{CapTLSRouting, TierWaypoint}, {CapRetries, TierWaypoint}, {CapTimeouts, TierWaypoint},
		{CapFaultInjection, TierWaypoint}, {CapMirroring, TierWaypoint}, {CapHeaderManipulation, TierWaypoint},
		{CapRewrite, TierWaypoint}, {CapRedirect, TierWaypoint}, {CapCORS, TierWaypoint},
		{CapLoadBalancing, TierWaypoint}, {CapRequestBalancing, TierWaypoint}, {CapCircuitBreaking, TierWaypoint},
		{CapOutlierDetection, TierWaypoint}, {CapLocality, TierWaypoint}, {CapTLSOrigination, TierWaypoint},
		{CapWasm, TierWaypoint}, {CapExtension, TierWaypoint}, {CapL7Telemetry, TierWaypoint},
		{CapTracing, TierWaypoint}, {CapL7Egress, TierWaypoint},
		{CapSidecar, TierSidecar}, {CapProxylessGRPC, TierSidecar}, {CapExternalIdentity, TierSidecar},
		{CapVirtualMachine, TierSidecar}, {CapWindows, TierSidecar}, {CapCaptureExclusion, TierSidecar},
		{CapReservedPort, TierSidecar},
		{CapEnvoyFilter, TierBlocked}, {CapEgressScope, TierBlocked}, {CapClientRouting, TierBlocked},
		{CapSourceRouting, TierBlocked}, {CapSubsetPolicy, TierBlocked}, {CapPlaintextOnly, TierBlocked},
		{CapPrimaryRemote, TierBlocked}, {CapHumanDecision, TierBlocked},
	}
}

// CapabilityTier pairs a capability with what provides it.
type CapabilityTier struct {
	Capability Capability
	Tier       Tier
}

// Tier is what provides the capability in ambient mode; TierUnknown for a word
// that is not in the closed set. Sources: Istio's ambient overview page ("APIs"
// table) and pilot/pkg/serviceregistry/ambient, facts L-03 to L-90 and E-20 to E-35.
func (c Capability) Tier() Tier {
	for _, ct := range Capabilities() {
		if ct.Capability == c {
			return ct.Tier
		}
	}
	return TierUnknown
}
