package rules

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l14 = Rule{
	ID:    "L14",
	Title: "Principal in another trust domain",
	Doc: Doc{
		Why: "For Envoy, istiod rewrites a principal whose trust domain is the mesh's own, one of meshConfig.trustDomainAliases, or \"cluster.local\" into one " +
			"principal for each of these domains. ztunnel gets the text as it is written.",
		Effect:  "on ambient pods the rule matches only the trust domain that is written: an ALLOW refuses clients that it admits today, a DENY lets them through",
		Remedy:  "write the principal with a \"*\" for the trust domain (\"*/ns/NAMESPACE/sa/ACCOUNT\"), or list it once for each domain",
		Sources: []string{"Istio pilot/pkg/security/trustdomain/bundle.go (ReplaceTrustDomainAliases)", "Istio pilot/pkg/serviceregistry/ambient/authorization.go (stringToMatch)"},
		Facts:   []string{"L-14", "L-83"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindMeshConfig, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL14,
}

func checkL14(p *Pass) {
	st := p.Mesh()
	domains := []string{st.TrustDomain()}
	for _, mc := range st.MeshConfigs() {
		if td := mc.Spec.GetTrustDomain(); td != "" && !slices.Contains(domains, td) {
			domains = append(domains, td)
		}
		for _, a := range mc.Spec.GetTrustDomainAliases() {
			if !slices.Contains(domains, a) {
				domains = append(domains, a)
			}
		}
	}
	for _, pol := range authzPolicies(st) {
		if pol.NotSent != mesh.SentToZtunnel {
			continue
		}
		own := false
		fields := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool {
			switch f.Name {
			case "principals", "notPrincipals", "source.principal":
			default:
				return false
			}
			lost := false
			for _, v := range f.Values {
				missing := notWritten(v, f.Values, domains)
				lost = lost || len(missing) > 0
				own = own || slices.Contains(missing, st.TrustDomain())
			}
			return lost
		})
		if len(fields) == 0 {
			continue
		}
		severity, which := api.Warning, "clients that still have a certificate of another trust domain"
		if own {
			severity, which = api.Blocker, fmt.Sprintf("clients of the mesh's own trust domain %q", st.TrustDomain())
		}
		p.Report(severity, pol.Ref(), fmt.Sprintf("%s names principals of which ztunnel no longer recognises %s; it applies to %s", pol.Ref(), which, pol.policyScope), fieldsOf(pol.Ref(), fields)...)
	}
}

// notWritten lists the trust domains that Envoy would be told to match for a
// principal and that no principal of the same list names. A principal that is
// not of five parts, or has "*" for the domain, is not rewritten.
func notWritten(principal string, all, domains []string) []string {
	domain, rest, _ := strings.Cut(principal, "/")
	if strings.Count(rest, "/") != 3 || domain == "*" {
		return nil
	}
	matches := func(d string) bool {
		if strings.HasPrefix(domain, "*") {
			return strings.HasSuffix(d, domain[1:])
		}
		return d == domain
	}
	if domain != "cluster.local" && !slices.ContainsFunc(domains, matches) {
		return nil
	}
	var missing []string
	for _, d := range domains {
		if !matches(d) && !slices.Contains(all, d+"/"+rest) && !slices.Contains(all, "*/"+rest) && !slices.Contains(all, "*") {
			missing = append(missing, d)
		}
	}
	return missing
}
