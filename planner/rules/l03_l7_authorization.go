package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l03 = Rule{
	ID:    "L03",
	Title: "AuthorizationPolicy with layer 7 fields",
	Doc: Doc{
		Why: "ztunnel decides on connections: identities, namespaces, addresses and ports. Hosts, methods, paths, headers, tokens and " +
			"the like are decided by a waypoint, so every Service that such a policy applies to needs one.",
		Effect:  "without a waypoint an ALLOW rule with such a field is dropped, and a DENY rule loses the field",
		Remedy:  "give the Service a waypoint and attach the policy to the Service with targetRefs; the plan does both",
		Sources: []string{"Istio pilot/pkg/serviceregistry/ambient/authorization.go (handleRule, httpOperations, httpSources, l4WhenAttributes)"},
		Facts:   []string{"L-03", "L-04"},
		Since:   "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindAuthorizationPolicy, mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL03,
}

func checkL03(p *Pass) {
	for _, pol := range p.Mesh().AuthorizationPolicies() {
		accountAuthz(p, pol.Object, mesh.Authz(pol))
	}
	for _, pol := range authzPolicies(p.Mesh()) {
		fields := fieldsWith(pol.Rules, func(f mesh.AuthzField) bool { return f.Class == mesh.FieldL7 })
		if len(fields) == 0 || pol.NotSent != mesh.SentToZtunnel {
			continue
		}
		reason := fmt.Sprintf("%s decides on %s, which ztunnel does not see", pol.Ref(), fieldNames(fields))
		for _, s := range pol.subjects() {
			p.Need(s, api.CapL7Authorization, reason, fieldsOf(pol.Ref(), fields)...)
		}
	}
}

// accountAuthz tells the ledger which fields of an AuthorizationPolicy are
// understood: all of the table L-03, also those that istiod drops without a word,
// which L03a reports wherever the policy applies.
func accountAuthz(p *Pass, o *api.Object, z mesh.ZtunnelAuthz) {
	ref := o.Ref()
	p.Account(Field(ref, "spec.action", ""), Field(ref, "spec.selector.matchLabels", ""), Field(ref, "spec.provider.name", ""))
	for _, r := range z.Rules {
		for _, f := range r.Fields {
			p.Account(Field(ref, f.Path, ""))
		}
	}
	accountConditionKeys(p, o)
	for _, k := range []string{"spec", "spec.rules", "spec.selector"} {
		accountEmpty(p, ref, contentAt(o.Content, k), k)
	}
}

// accountConditionKeys accounts for the "key" of every condition: what it names
// is the name of the field that its values were classified as.
func accountConditionKeys(p *Pass, o *api.Object) {
	rules, _ := contentAt(o.Content, "spec.rules").([]any)
	for i, r := range rules {
		m, _ := r.(map[string]any)
		when, _ := m["when"].([]any)
		for j := range when {
			p.Account(Field(o.Ref(), fmt.Sprintf("spec.rules[%d].when[%d].key", i, j), ""))
		}
	}
}

// contentAt reads a dotted path of maps; nil when it is not there.
func contentAt(c api.Content, path string) any {
	var v any = map[string]any(c)
	for k := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[k]
	}
	return v
}

// structural tells whether a key of an AuthorizationPolicy only holds others, or
// a list, so that an empty value of it means the same as none.
func structural(key string) bool {
	switch key {
	case "rules", "from", "to", "when", "source", "operation", "selector", "matchLabels",
		"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts",
		"ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks", "requestPrincipals", "notRequestPrincipals",
		"trustDomains", "notTrustDomains", "ports", "notPorts", "hosts", "notHosts", "methods", "notMethods",
		"paths", "notPaths", "values", "notValues":
		return true
	}
	return false
}

// accountEmpty accounts for empty lists and objects of known names: `rules: [{}]`
// is a rule that matches everything, and the typed policy says so.
func accountEmpty(p *Pass, ref api.Ref, v any, path string) {
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 {
			p.Account(Field(ref, path, ""))
		}
		for k, c := range v {
			if structural(k) {
				accountEmpty(p, ref, c, Join(path, k))
			}
		}
	case []any:
		if len(v) == 0 {
			p.Account(Field(ref, path, ""))
		}
		for i, c := range v {
			accountEmpty(p, ref, c, fmt.Sprintf("%s[%d]", path, i))
		}
	case nil:
		if path != "spec" {
			p.Account(Field(ref, path, ""))
		}
	}
}
