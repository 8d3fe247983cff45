package mesh

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// delegate is a VirtualService without hosts, whose rules others take over.
type delegate struct {
	object *api.Object
	export []string
}

// httpRule is one HTTP rule as it stands, after delegates.
type httpRule struct {
	object    *api.Object
	namespace string
	path      string
	rule      map[string]any
}

// mergedRules is rule i of a VirtualService, or the rules of the delegate that it names merged with it. A delegate that
// is missing or not exported to the namespace drops the rule. Source: pilot/pkg/model/virtualservice_controller.go
// (mergeVirtualServices) and virtualservice.go (MergeHTTPRoutes).
func (x *trafficIndex) mergedRules(o *api.Object, rule map[string]any, i int) []httpRule {
	d, ok := rule["delegate"].(map[string]any)
	if !ok {
		return []httpRule{{o, o.Namespace, fmt.Sprintf("spec.http[%d]", i), rule}}
	}
	ns := textOf(d["namespace"])
	if ns == "" {
		ns = o.Namespace
	}
	del, ok := x.delegates[nsName{ns, textOf(d["name"])}]
	if !ok || !slices.Contains(del.export, "*") && !slices.Contains(del.export, o.Namespace) {
		return nil
	}
	rule = x.spelledOut(rule, o.Namespace)
	var out []httpRule
	for j, raw := range listAt(del.object.Content, "spec", "http") {
		leaf, _ := raw.(map[string]any)
		match, ok := mergedMatches(listAt(rule, "match"), listAt(leaf, "match"))
		if !ok {
			continue
		}
		merged := maps.Clone(leaf)
		if merged == nil {
			merged = map[string]any{}
		}
		delete(merged, "match")
		if len(match) > 0 {
			merged["match"] = match
		}
		for _, k := range []string{"rewrite", "directResponse", "timeout", "retries", "fault", "mirror", "mirrorPercent", "mirrorPercentage", "corsPolicy", "mirrors", "headers"} {
			if merged[k] == nil && rule[k] != nil {
				merged[k] = rule[k]
			}
		}
		out = append(out, httpRule{del.object, del.object.Namespace, fmt.Sprintf("spec.http[%d]", j), merged})
	}
	return out
}

// spelledOut completes the names in a rule that its delegate in another namespace takes over: those of gateways and of
// the hosts of mirrors.
func (x *trafficIndex) spelledOut(rule map[string]any, namespace string) map[string]any {
	out := maps.Clone(rule)
	var matches []any
	for _, raw := range listAt(rule, "match") {
		m, _ := raw.(map[string]any)
		m = maps.Clone(m)
		if names := gatewayNames(textsOf(m["gateways"]), namespace); len(names) > 0 {
			list := make([]any, len(names))
			for i, n := range names {
				list[i] = n
			}
			m["gateways"] = list
		}
		matches = append(matches, m)
	}
	if len(matches) > 0 {
		out["match"] = matches
	}
	if m, ok := rule["mirror"]; ok {
		out["mirror"] = x.fullHost(m, namespace)
	}
	var mirrors []any
	for _, raw := range listAt(rule, "mirrors") {
		m, ok := raw.(map[string]any)
		if !ok {
			continue
		}
		m = maps.Clone(m)
		m["destination"] = x.fullHost(m["destination"], namespace)
		mirrors = append(mirrors, m)
	}
	if len(mirrors) > 0 {
		out["mirrors"] = mirrors
	}
	return out
}

// mergedMatches joins the conditions of a rule and its delegate; false when one of the delegate's fits none of the
// rule's, which drops the delegate's rule (mergeHTTPMatchRequests).
func mergedMatches(root, leaf []any) ([]any, bool) {
	if len(root) == 0 {
		return leaf, true
	}
	if len(leaf) == 0 {
		return root, true
	}
	var out []any
	for _, l := range leaf {
		lm, _ := l.(map[string]any)
		found := false
		for _, r := range root {
			rm, _ := r.(map[string]any)
			if matchConflict(rm, lm) {
				continue
			}
			found = true
			m := maps.Clone(lm)
			if m == nil {
				m = map[string]any{}
			}
			for _, k := range []string{"uri", "scheme", "method", "authority", "port", "sourceNamespace", "gateways", "statPrefix"} {
				if m[k] == nil && rm[k] != nil {
					m[k] = rm[k]
				}
			}
			for _, k := range []string{"headers", "withoutHeaders", "queryParams", "sourceLabels"} {
				joined := map[string]any{}
				for _, from := range []map[string]any{rm, lm} {
					values, _ := from[k].(map[string]any)
					maps.Copy(joined, values)
				}
				if len(joined) > 0 {
					m[k] = joined
				}
			}
			out = append(out, m)
		}
		if !found {
			return nil, false
		}
	}
	return out, true
}

// matchConflict tells whether a delegate's condition is not inside of the rule's (hasConflict).
func matchConflict(root, leaf map[string]any) bool {
	for _, k := range []string{"uri", "scheme", "method", "authority"} {
		if stringConflict(root[k], leaf[k]) {
			return true
		}
	}
	for _, k := range []string{"headers", "withoutHeaders", "queryParams"} {
		rm, _ := root[k].(map[string]any)
		lm, _ := leaf[k].(map[string]any)
		for name, v := range lm {
			if stringConflict(rm[name], v) {
				return true
			}
		}
	}
	ri, _ := root["ignoreUriCase"].(bool)
	li, _ := leaf["ignoreUriCase"].(bool)
	if ri != li {
		return true
	}
	if rp, lp := intOf(root["port"]), intOf(leaf["port"]); rp > 0 && lp > 0 && rp != lp {
		return true
	}
	if ns := textOf(root["sourceNamespace"]); ns != "" && textOf(leaf["sourceNamespace"]) != ns {
		return true
	}
	rl, _ := root["sourceLabels"].(map[string]any)
	ll, _ := leaf["sourceLabels"].(map[string]any)
	for k, v := range ll {
		if rv, ok := rl[k]; ok && rv != v {
			return true
		}
	}
	rg, lg := textsOf(root["gateways"]), textsOf(leaf["gateways"])
	if len(rg) > 0 && len(lg) > 0 {
		return len(rg) < len(lg) || slices.ContainsFunc(lg, func(g string) bool { return !slices.Contains(rg, g) })
	}
	return false
}

// stringConflict is stringMatchConflict of the same file.
func stringConflict(root, leaf any) bool {
	r, ok := root.(map[string]any)
	l, ok2 := leaf.(map[string]any)
	if !ok || !ok2 {
		return false
	}
	re, rp, rr := textOf(r["exact"]), textOf(r["prefix"]), textOf(r["regex"])
	le, lp, lr := textOf(l["exact"]), textOf(l["prefix"]), textOf(l["regex"])
	if rr != "" && (lr != "" || lp != "" || le != "") || lr != "" && (rr != "" || rp != "" || re != "") {
		return true
	}
	if re != "" {
		return lp != "" || le != re
	}
	if rp != "" {
		if lp != "" {
			return !strings.HasPrefix(lp, rp)
		}
		if le != "" {
			return !strings.HasPrefix(le, rp)
		}
	}
	return true
}
