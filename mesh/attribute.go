package mesh

import "strings"

// attributeKind is what of a request a field of a policy looks at.
type attributeKind uint8

const (
	_ attributeKind = iota
	// Of the identity of the peer.
	attrPrincipal
	attrNamespace
	attrServiceAccount
	attrTrustDomain
	// attrPeerNamespace is the namespace as ztunnel takes it from the identity.
	attrPeerNamespace
	// Of the connection.
	attrSourceIP
	attrRemoteIP
	attrDestinationIP
	attrPort
	attrSNI
	// Of the HTTP request.
	attrMethod
	attrPath
	attrHost
	attrHeader
	// attrToken is whether there is a token, where, and whether it is valid.
	attrToken
	// Of its token. attrTokenPrincipal looks at the claims iss and sub together.
	attrTokenPrincipal
	attrClaim
	// attrFilterMetadata is what other filters of the proxy know: nobody can tell here.
	attrFilterMetadata
)

// attribute is a kind, and the name of the header or claim.
type attribute struct {
	kind attributeKind
	name string
}

// ofIdentity tells whether the attribute is one of who calls.
func (a attribute) ofIdentity() bool { return a.kind >= attrPrincipal && a.kind <= attrPeerNamespace }

// ofClaims tells whether the attribute is one of what a valid token says.
func (a attribute) ofClaims() bool { return a.kind == attrTokenPrincipal || a.kind == attrClaim }

// onTCP tells whether Envoy can look at the attribute without HTTP.
func (a attribute) onTCP() bool {
	switch a.kind {
	case attrMethod, attrPath, attrHost, attrHeader, attrTokenPrincipal, attrClaim:
		return false
	default:
		return true
	}
}

// claimKey is the key of a claim in Request.Claims.
func claimKey(path ...string) string {
	return "request.auth.claims[" + strings.Join(path, "][") + "]"
}

// The claims that fields of their own look at.
const (
	claimIssuer    = "request.auth.claims[iss]"
	claimSubject   = "request.auth.claims[sub]"
	claimAudience  = "request.auth.claims[aud]"
	claimPresenter = "request.auth.claims[azp]"
)

// keyState says what istiod makes of the key of a condition.
type keyState uint8

const (
	keyUnset keyState = iota
	keyOK
	// keyUnknown: the rule is skipped, whatever the action.
	keyUnknown
	// keyBad: its form is wrong; an ALLOW rule is skipped, in others the condition is.
	keyBad
)

// conditionAttribute reads the key of a "when". Source: New of
// pilot/pkg/security/authz/model/model.go and its generators.
func conditionAttribute(key string) (attribute, keyState) {
	switch key {
	case "destination.ip":
		return attribute{kind: attrDestinationIP}, keyOK
	case "destination.port":
		return attribute{kind: attrPort}, keyOK
	case "connection.sni":
		return attribute{kind: attrSNI}, keyOK
	case "source.ip":
		return attribute{kind: attrSourceIP}, keyOK
	case "remote.ip":
		return attribute{kind: attrRemoteIP}, keyOK
	case "source.namespace":
		return attribute{kind: attrNamespace}, keyOK
	case "source.trustDomain":
		return attribute{kind: attrTrustDomain}, keyOK
	case "source.serviceAccount":
		return attribute{kind: attrServiceAccount}, keyOK
	case "source.principal":
		return attribute{kind: attrPrincipal}, keyOK
	case "request.auth.principal":
		return attribute{kind: attrTokenPrincipal}, keyOK
	case "request.auth.audiences":
		return attribute{attrClaim, claimAudience}, keyOK
	case "request.auth.presenter":
		return attribute{attrClaim, claimPresenter}, keyOK
	}
	if rest, ok := strings.CutPrefix(key, "experimental.envoy.filters."); ok {
		if !strings.Contains(rest, "[") {
			return attribute{kind: attrFilterMetadata}, keyBad
		}
		return attribute{kind: attrFilterMetadata, name: key}, keyOK
	}
	if rest, ok := strings.CutPrefix(key, "request.headers"); ok {
		name, ok := inBrackets(rest)
		if !ok {
			return attribute{kind: attrHeader}, keyBad
		}
		return headerAttribute(name), keyOK
	}
	if rest, ok := strings.CutPrefix(key, "request.auth.claims"); ok {
		path, ok := claimPath(rest)
		if !ok {
			return attribute{kind: attrClaim}, keyBad
		}
		if len(path) == 0 {
			return attribute{kind: attrClaim}, keyOK
		}
		return attribute{attrClaim, claimKey(path...)}, keyOK
	}
	return attribute{}, keyUnknown
}

// headerAttribute is a header by its name as Envoy knows it. "Host" is stored as
// ":authority" there.
func headerAttribute(name string) attribute {
	name = strings.ToLower(name)
	if name == "host" {
		name = ":authority"
	}
	return attribute{attrHeader, name}
}

func inBrackets(s string) (string, bool) {
	if !strings.HasPrefix(s, "[") || !strings.HasSuffix(s, "]") {
		return "", false
	}
	// As istiod trims: one bracket at each end, in this order.
	return strings.TrimPrefix(strings.TrimSuffix(s, "]"), "["), true
}

// claimPath reads "[a][b]". What does not read as such, but is in brackets, is one
// name. Nothing at all is the whole payload, which is no string and matches nothing.
func claimPath(s string) ([]string, bool) {
	var path []string
	for rest := s; rest != ""; {
		end := strings.IndexByte(rest, ']')
		if rest[0] != '[' || end < 0 || strings.Contains(rest[1:end], "[") {
			name, ok := inBrackets(s)
			return []string{name}, ok
		}
		path = append(path, rest[1:end])
		rest = rest[end+1:]
	}
	return path, true
}
