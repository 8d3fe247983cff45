package translate

import (
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// l4When are the condition keys that ztunnel evaluates. Source: istiod's
// pilot/pkg/serviceregistry/ambient/authorization.go (l4WhenAttributes).
func l4When(key string) bool {
	switch key {
	case "source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port":
		return true
	}
	return false
}

// l7 tells whether a field of source or operation needs a proxy of layer 7.
// A field that is not known counts as layer 7: it needs more, never less.
func l7Source(field string) bool {
	switch field {
	case "principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts", "ipBlocks", "notIpBlocks":
		return false
	}
	return true
}

func l7Operation(field string) bool { return field != "ports" && field != "notPorts" }

// L7Rule tells whether a rule of an AuthorizationPolicy has any layer 7 part
// (facts L-03).
func L7Rule(rule map[string]any) bool {
	for _, f := range maps(rule["from"]) {
		src, _ := f["source"].(map[string]any)
		for k, v := range src {
			if !empty(v) && l7Source(k) {
				return true
			}
		}
	}
	for _, t := range maps(rule["to"]) {
		op, _ := t["operation"].(map[string]any)
		for k, v := range op {
			if !empty(v) && l7Operation(k) {
				return true
			}
		}
	}
	for _, w := range maps(rule["when"]) {
		if k, _ := w["key"].(string); !l4When(k) {
			return true
		}
	}
	return false
}

// Rules of an AuthorizationPolicy's content.
func Rules(c api.Content) []map[string]any { return maps(Spec(c)["rules"]) }

// Action of an AuthorizationPolicy's content; ALLOW when it says none.
func Action(c api.Content) string {
	if a, _ := Spec(c)["action"].(string); a != "" {
		return a
	}
	return "ALLOW"
}

// L7Policy tells whether anything of a policy needs a proxy of layer 7.
func L7Policy(c api.Content) bool {
	switch Action(c) {
	case "CUSTOM", "AUDIT":
		return true
	}
	return slices.ContainsFunc(Rules(c), L7Rule)
}

// KeepL4Rules leaves only the rules without a layer 7 part: what ztunnel still
// enforces as it is written. It returns how many rules are left.
func KeepL4Rules(c api.Content) int {
	list, _ := Spec(c)["rules"].([]any)
	var kept []any
	for _, r := range list {
		if m, ok := r.(map[string]any); ok && !L7Rule(m) {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		delete(Spec(c), "rules")
	} else {
		Spec(c)["rules"] = kept
	}
	return len(kept)
}

// ExemptWaypoint adds, to each rule of a DENY policy that would catch the
// waypoint's own connections, a condition that the peer is not the waypoint.
// Those are rules with a negative list of sources (facts L-13a) and rules whose
// layer 4 remainder would deny at ztunnel what only their layer 7 part was meant
// for (facts L-07, L-08). The copy of the rule at the waypoint still judges the
// real client. It tells whether anything changed.
func ExemptWaypoint(c api.Content, principal string) bool {
	changed := false
	for _, r := range Rules(c) {
		if !negativeSource(r) && !L7Rule(r) {
			continue
		}
		if exempts(r, principal) {
			continue
		}
		when, _ := r["when"].([]any)
		done := false
		for _, w := range when {
			m, _ := w.(map[string]any)
			if m["key"] == "source.principal" && empty(m["values"]) && isExemption(m) {
				list, _ := m["notValues"].([]any)
				m["notValues"] = append(list, any(principal))
				done = true
				break
			}
		}
		if !done {
			r["when"] = append(when, map[string]any{"key": "source.principal", "notValues": []any{principal}})
		}
		changed = true
	}
	return changed
}

// isExemption tells whether a condition only excludes waypoints of ours; adding
// one more name to it excludes one more waypoint.
func isExemption(m map[string]any) bool {
	for _, v := range strs(m["notValues"]) {
		if strings.Contains(v, "*") {
			return false
		}
	}
	return !empty(m["notValues"])
}

// exempts tells whether the rule already excludes the principal.
func exempts(r map[string]any, principal string) bool {
	for _, w := range maps(r["when"]) {
		if w["key"] == "source.principal" && slices.Contains(strs(w["notValues"]), principal) {
			return true
		}
	}
	return false
}

// negativeSource tells whether a rule matches by who the peer is not.
func negativeSource(r map[string]any) bool {
	for _, f := range maps(r["from"]) {
		src, _ := f["source"].(map[string]any)
		for k, v := range src {
			if strings.HasPrefix(k, "not") && !empty(v) {
				return true
			}
		}
	}
	for _, w := range maps(r["when"]) {
		k, _ := w["key"].(string)
		if strings.HasPrefix(k, "source.") && !empty(w["notValues"]) {
			return true
		}
	}
	return false
}

// PortMap translates pod ports to service ports. Source: a selector policy is
// evaluated on the pod's port, a policy at the waypoint on the service's
// (facts L-11).
type PortMap map[string][]string

// PolicyPorts tells whether a policy names ports at all.
func PolicyPorts(c api.Content) bool {
	for _, r := range Rules(c) {
		for _, t := range maps(r["to"]) {
			op, _ := t["operation"].(map[string]any)
			if !empty(op["ports"]) || !empty(op["notPorts"]) {
				return true
			}
		}
		for _, w := range maps(r["when"]) {
			if w["key"] == "destination.port" {
				return true
			}
		}
	}
	return false
}

// TranslatePorts rewrites pod ports to service ports. A rule that can no longer
// match, because none of its ports is behind the Service, is removed: an empty
// list would match every port instead. A policy that loses all its rules this
// way keeps an empty list: an ALLOW then allows nothing, as before for this
// Service; for other actions matches is false and the policy is not needed.
func TranslatePorts(c api.Content, m PortMap) (matches bool) {
	list, _ := Spec(c)["rules"].([]any)
	if len(list) == 0 {
		return true
	}
	var kept []any
	for _, r := range list {
		rule, ok := r.(map[string]any)
		if !ok {
			continue
		}
		if translateRule(rule, m) {
			kept = append(kept, rule)
		}
	}
	if len(kept) > 0 {
		Spec(c)["rules"] = kept
		return true
	}
	delete(Spec(c), "rules")
	return Action(c) == "ALLOW"
}

// translateRule rewrites one rule; false means that it can never match.
func translateRule(rule map[string]any, m PortMap) bool {
	if tos := maps(rule["to"]); len(tos) > 0 {
		var kept []any
		all := false
		for _, t := range tos {
			op, _ := t["operation"].(map[string]any)
			if !translateList(op, "ports", m) {
				continue
			}
			translateNot(op, "notPorts", m)
			// An operation that only excluded ports which the Service does not
			// have matches every request, and the API takes no empty one.
			all = all || len(op) == 0
			kept = append(kept, t)
		}
		switch {
		case len(kept) == 0:
			return false
		case all:
			delete(rule, "to")
		default:
			rule["to"] = kept
		}
	}
	var whens []any
	for _, w := range maps(rule["when"]) {
		if w["key"] == "destination.port" {
			if !translateList(w, "values", m) {
				return false
			}
			translateNot(w, "notValues", m)
			if empty(w["values"]) && empty(w["notValues"]) {
				continue
			}
		}
		whens = append(whens, w)
	}
	if _, had := rule["when"]; had {
		if len(whens) == 0 {
			delete(rule, "when")
		} else {
			rule["when"] = whens
		}
	}
	return true
}

// translateList rewrites a positive list of ports; false when none is left of a
// list that was there.
func translateList(m map[string]any, key string, ports PortMap) bool {
	before := strs(m[key])
	if len(before) == 0 {
		return true
	}
	out := mapped(before, ports)
	if len(out) == 0 {
		return false
	}
	m[key] = out
	return true
}

// translateNot rewrites a negative list; one of which nothing is left excludes
// nothing that could reach the Service.
func translateNot(m map[string]any, key string, ports PortMap) {
	before := strs(m[key])
	if len(before) == 0 {
		return
	}
	if out := mapped(before, ports); len(out) > 0 {
		m[key] = out
	} else {
		delete(m, key)
	}
}

func mapped(in []string, ports PortMap) []any {
	var out []string
	for _, p := range in {
		out = append(out, ports[strings.TrimSpace(p)]...)
	}
	slices.SortFunc(out, func(a, b string) int {
		x, _ := strconv.Atoi(a)
		y, _ := strconv.Atoi(b)
		return x - y
	})
	out = slices.Compact(out)
	anys := make([]any, len(out))
	for i, p := range out {
		anys[i] = p
	}
	return anys
}

// QualifyServiceAccounts writes the namespace before service accounts that are
// relative to the policy's own, so that a copy in another namespace means the same.
func QualifyServiceAccounts(c api.Content, namespace string) {
	for _, r := range Rules(c) {
		for _, f := range maps(r["from"]) {
			src, _ := f["source"].(map[string]any)
			for _, k := range []string{"serviceAccounts", "notServiceAccounts"} {
				list, _ := src[k].([]any)
				for i, v := range list {
					if s, ok := v.(string); ok && !strings.Contains(s, "/") {
						list[i] = namespace + "/" + s
					}
				}
			}
		}
	}
}

func maps(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func strs(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return len(v) == 0
	}
	return false
}
