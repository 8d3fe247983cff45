package mesh

import (
	"slices"
	"strings"
)

// withAliases writes a principal of a policy for the trust domain of the mesh and
// its aliases, as istiod does for Envoys, not for ztunnel (facts L-14). domains
// holds the trust domain first. A principal of "cluster.local" stands for all of
// them. Source: pilot/pkg/security/trustdomain/bundle.go of Istio.
func withAliases(principal string, domains []string) []string {
	parts := strings.Split(principal, "/")
	if len(parts) != 5 || parts[0] == "*" {
		return []string{principal}
	}
	td := parts[0]
	known := td == "cluster.local" || slices.ContainsFunc(domains, func(d string) bool {
		return td == d || d == "*" || prefixPattern(td, d) || prefixPattern(d, td) || suffixPattern(td, d) || suffixPattern(d, td)
	})
	if !known {
		return []string{principal}
	}
	var out []string
	for _, d := range domains {
		p := principal
		if !suffixPattern(d, td) {
			p = d + "/" + strings.Join(parts[1:], "/")
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func prefixPattern(s, pattern string) bool {
	head, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(s, head)
}

func suffixPattern(s, pattern string) bool {
	tail, ok := strings.CutPrefix(pattern, "*")
	return ok && strings.HasSuffix(s, tail)
}

// domainAliases adds to a trust domain of a policy what it stands for.
func domainAliases(domain string, domains []string) []string {
	if slices.Contains(domains, domain) {
		return domains
	}
	return []string{domain}
}
