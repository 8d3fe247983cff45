package mesh

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	security "istio.io/api/security/v1beta1"
)

// FieldClass says who can decide on a field of an AuthorizationPolicy. The zero
// value is unset.
type FieldClass int

// Classes of a field (facts L-03).
const (
	FieldUnset FieldClass = iota
	// FieldL4: ztunnel decides on it.
	FieldL4
	// FieldL7: only a proxy of layer 7 does; ztunnel drops it and istiod says so.
	FieldL7
	// FieldGap: istiod drops it on the way to ztunnel without saying so.
	FieldGap
)

// String is the word for a class.
func (c FieldClass) String() string {
	switch c {
	case FieldL4:
		return "L4"
	case FieldL7:
		return "L7"
	case FieldGap:
		return "gap"
	case FieldUnset:
	}
	return "unset"
}

// AuthzField is one field that a rule of an AuthorizationPolicy sets.
type AuthzField struct {
	// Path in the object, for example "spec.rules[0].to[0].operation.methods".
	Path string
	// Name of the field ("methods"), or the key of a condition ("source.ip").
	Name   string
	Values []string
	Class  FieldClass
	// Negative is true for the not* form.
	Negative bool
}

// AuthzRule is what ztunnel makes of one rule of an ALLOW or DENY policy.
//
// A rule becomes up to three kinds of clauses, which must all match: one for all
// entries of "to", one for all entries of "from", one for each "when". A clause
// matches when one of its entries does; ztunnel skips an entry that has no field
// left, so that a clause of only such entries never matches (facts L-04, L-08).
// Source: pilot/pkg/serviceregistry/ambient/authorization.go (handleRule) of
// Istio, src/rbac.rs of ztunnel.
type AuthzRule struct {
	// Path of the rule, for example "spec.rules[0]".
	Path string
	// Fields that the rule sets, in the order of the source.
	Fields []AuthzField
	// Dropped: an ALLOW rule with a field of layer 7 is not sent at all (facts L-05).
	Dropped bool
	// Never: the rule is sent, and can match no connection.
	Never bool
	// Narrower: it matches less than was written. For DENY that fails open, for ALLOW closed.
	Narrower bool
	// Wider: it matches more than was written. For DENY that fails closed, for ALLOW open.
	Wider bool

	clauses []authzClause
}

// authzClause matches when one of its matches does.
type authzClause []authzMatch

// authzMatch holds the fields of one entry that ztunnel gets; all must agree.
type authzMatch []AuthzField

// Of lists the fields of one class.
func (r AuthzRule) Of(c FieldClass) []AuthzField {
	var out []AuthzField
	for _, f := range r.Fields {
		if f.Class == c {
			out = append(out, f)
		}
	}
	return out
}

// NotSent says why istiod does not send a policy to ztunnel.
type NotSent string

// Reasons. Source: convertAuthorizationPolicy of Istio, facts L-01.
const (
	// SentToZtunnel is the zero value: the policy is sent.
	SentToZtunnel NotSent = ""
	// NotSentDryRun: annotated istio.io/dry-run, which ztunnel gets only with
	// AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY.
	NotSentDryRun NotSent = "dry-run"
	// NotSentTargetRef: attached by targetRefs, so it is meant for a waypoint or gateway.
	NotSentTargetRef NotSent = "targetRefs"
	// NotSentAction: CUSTOM and AUDIT are unknown to ztunnel.
	NotSentAction NotSent = "action"
)

// AnnotationDryRun makes a policy log what it would have decided.
const AnnotationDryRun = "istio.io/dry-run"

// ZtunnelAuthz is what ztunnel makes of an AuthorizationPolicy.
type ZtunnelAuthz struct {
	NotSent NotSent
	Action  security.AuthorizationPolicy_Action
	// Rules are classified whether or not the policy is sent; what happens to
	// them at ztunnel holds only when it is.
	Rules []AuthzRule
}

// Authz classifies an AuthorizationPolicy. It never fails: a value that istiod
// cannot read (a port that is no number) counts as a field that it drops.
func Authz(p Typed[*security.AuthorizationPolicy]) ZtunnelAuthz {
	z := ZtunnelAuthz{Action: p.Spec.GetAction()}
	// An annotation that is no boolean counts as false, as in istiod.
	dry, _ := strconv.ParseBool(p.Annotations()[AnnotationDryRun])
	switch {
	case dry:
		z.NotSent = NotSentDryRun
	case HasTargetRef(p.Spec):
		z.NotSent = NotSentTargetRef
	case z.Action != security.AuthorizationPolicy_ALLOW && z.Action != security.AuthorizationPolicy_DENY:
		z.NotSent = NotSentAction
	}
	for i, r := range p.Spec.GetRules() {
		z.Rules = append(z.Rules, authzRule(r, z.Action, fmt.Sprintf("spec.rules[%d]", i)))
	}
	return z
}

// Has tells whether any rule sets a field of the class.
func (z ZtunnelAuthz) Has(c FieldClass) bool {
	for _, r := range z.Rules {
		if len(r.Of(c)) > 0 {
			return true
		}
	}
	return false
}

// NeedsL7 tells whether only a proxy of layer 7 can enforce the policy as it is
// written: it is not sent to ztunnel because of its action, or uses a field of layer 7.
func (z ZtunnelAuthz) NeedsL7() bool { return z.NotSent == NotSentAction || z.Has(FieldL7) }

// LeftEmpty tells whether the policy is an ALLOW that had rules, of which
// ztunnel keeps none that could match: it then denies everything (facts L-05).
func (z ZtunnelAuthz) LeftEmpty() bool {
	if z.Action != security.AuthorizationPolicy_ALLOW || z.NotSent != SentToZtunnel || len(z.Rules) == 0 {
		return false
	}
	for _, r := range z.Rules {
		if !r.Dropped && !r.Never {
			return false
		}
	}
	return true
}

// authzRule classifies one rule and derives what ztunnel makes of it.
func authzRule(r *security.Rule, action security.AuthorizationPolicy_Action, path string) AuthzRule {
	out := AuthzRule{Path: path}
	var to, from authzClause
	for i, t := range r.GetTo() {
		to = append(to, out.entry(operationFields(t.GetOperation(), fmt.Sprintf("%s.to[%d].operation", path, i))))
	}
	for i, f := range r.GetFrom() {
		from = append(from, out.entry(sourceFields(f.GetSource(), fmt.Sprintf("%s.from[%d].source", path, i))))
	}
	for _, c := range []authzClause{to, from} {
		if len(c) > 0 {
			out.clauses = append(out.clauses, c)
		}
	}
	for i, w := range r.GetWhen() {
		m := out.entry(conditionFields(w, fmt.Sprintf("%s.when[%d]", path, i)))
		out.clauses = append(out.clauses, authzClause{m})
	}
	if action == security.AuthorizationPolicy_ALLOW && len(out.Of(FieldL7)) > 0 {
		out.Dropped, out.Narrower, out.Wider = true, true, false
		out.clauses = nil
		return out
	}
	for _, c := range out.clauses {
		if c.empty() {
			out.Never, out.Narrower, out.Wider = true, true, false
			return out
		}
	}
	return out
}

// entry adds the fields of one entry and returns what ztunnel gets of it. An
// entry that loses all its fields is skipped, so the rule matches less; one that
// loses some matches more.
func (r *AuthzRule) entry(fields []AuthzField) authzMatch {
	r.Fields = append(r.Fields, fields...)
	var kept authzMatch
	for _, f := range fields {
		if f.Class == FieldL4 {
			kept = append(kept, f)
		}
	}
	switch {
	case len(kept) == 0:
		r.Narrower = true
	case len(kept) < len(fields):
		r.Wider = true
	}
	return kept
}

// empty tells whether ztunnel skips every match of the clause.
func (c authzClause) empty() bool {
	for _, m := range c {
		if len(m) > 0 {
			return false
		}
	}
	return true
}

// fieldList collects the fields that are set.
type fieldList struct {
	path   string
	fields []AuthzField
}

func (l *fieldList) add(name string, values []string, c FieldClass) {
	if len(values) == 0 {
		return
	}
	negative := strings.HasPrefix(name, "not")
	l.fields = append(l.fields, AuthzField{Path: l.path + "." + name, Name: name, Values: values, Class: readable(name, values, c), Negative: negative})
}

// readable downgrades ports and addresses of which istiod can parse none: it
// leaves each bad value out without a word, and the field with the last.
func readable(name string, values []string, c FieldClass) FieldClass {
	var match func(string) (valueMatcher, bool)
	switch name {
	case "ports", "notPorts", "destination.port":
		match = portMatcher
	case "ipBlocks", "notIpBlocks", "source.ip", "destination.ip":
		match = blockMatcher
	default:
		return c
	}
	for _, v := range values {
		if _, ok := match(v); ok {
			return c
		}
	}
	return FieldGap
}

// prefix reads an address or a CIDR block.
func prefix(v string) (netip.Prefix, bool) {
	if strings.Contains(v, "/") {
		p, err := netip.ParsePrefix(v)
		return p, err == nil
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}

func operationFields(o *security.Operation, path string) []AuthzField {
	l := fieldList{path: path}
	l.add("ports", o.GetPorts(), FieldL4)
	l.add("notPorts", o.GetNotPorts(), FieldL4)
	l.add("hosts", o.GetHosts(), FieldL7)
	l.add("notHosts", o.GetNotHosts(), FieldL7)
	l.add("methods", o.GetMethods(), FieldL7)
	l.add("notMethods", o.GetNotMethods(), FieldL7)
	l.add("paths", o.GetPaths(), FieldL7)
	l.add("notPaths", o.GetNotPaths(), FieldL7)
	return l.fields
}

func sourceFields(s *security.Source, path string) []AuthzField {
	l := fieldList{path: path}
	l.add("principals", s.GetPrincipals(), FieldL4)
	l.add("notPrincipals", s.GetNotPrincipals(), FieldL4)
	l.add("namespaces", s.GetNamespaces(), FieldL4)
	l.add("notNamespaces", s.GetNotNamespaces(), FieldL4)
	l.add("serviceAccounts", s.GetServiceAccounts(), FieldL4)
	l.add("notServiceAccounts", s.GetNotServiceAccounts(), FieldL4)
	l.add("ipBlocks", s.GetIpBlocks(), FieldL4)
	l.add("notIpBlocks", s.GetNotIpBlocks(), FieldL4)
	l.add("remoteIpBlocks", s.GetRemoteIpBlocks(), FieldL7)
	l.add("notRemoteIpBlocks", s.GetNotRemoteIpBlocks(), FieldL7)
	l.add("requestPrincipals", s.GetRequestPrincipals(), FieldL7)
	l.add("notRequestPrincipals", s.GetNotRequestPrincipals(), FieldL7)
	l.add("trustDomains", s.GetTrustDomains(), FieldGap)
	l.add("notTrustDomains", s.GetNotTrustDomains(), FieldGap)
	return l.fields
}

// conditionFields reads a "when". Its key stands for the field.
func conditionFields(c *security.Condition, path string) []AuthzField {
	class := FieldL7
	switch c.GetKey() {
	case "source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port":
		class = FieldL4
	}
	var out []AuthzField
	if len(c.GetValues()) > 0 {
		out = append(out, AuthzField{Path: path + ".values", Name: c.GetKey(), Values: c.GetValues(), Class: readable(c.GetKey(), c.GetValues(), class)})
	}
	if len(c.GetNotValues()) > 0 {
		out = append(out, AuthzField{Path: path + ".notValues", Name: c.GetKey(), Values: c.GetNotValues(), Class: readable(c.GetKey(), c.GetNotValues(), class), Negative: true})
	}
	if len(out) == 0 && class == FieldL7 {
		// Without values nothing can match; what counts is the key.
		out = append(out, AuthzField{Path: path + ".key", Name: c.GetKey(), Class: class})
	}
	return out
}
