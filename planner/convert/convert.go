// Package convert turns VirtualServices of the mesh into Gateway API routes whose parent is a Service, and the subsets
// that they route to into Services of their own. A conversion is made only when a waypoint does with the routes exactly
// what it does with the VirtualServices; what cannot be said exactly is refused with the field, the reason and the id of
// the fact (docs/facts.md, C-01 to C-54, L-30 to L-38, P-05, P-06).
//
// What is compared is text: where a prefix becomes a regular expression, a header value or path with bytes that are no
// UTF-8 is matched by the prefix and not by the expression.
package convert

import (
	"cmp"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Class is what becomes of a VirtualService, as a whole or for one of its hosts. The zero value means that nobody
// looked, never that all is well.
type Class int

const (
	// Unset means that nobody looked.
	Unset Class = iota
	// Converted: routes take over, with the same effect for every request.
	Converted
	// Kept: the VirtualService stays. For mesh traffic a waypoint applies it (Alpha, facts L-30).
	Kept
	// Blocked: a person must decide, because what is written has no meaning at a waypoint or refers to what is not there.
	Blocked
	// Dropped: it has no effect, so nothing is lost without it. Of subsets only.
	Dropped
)

// String is the name of the class in documents; "unset" for the zero value.
func (c Class) String() string {
	switch c {
	case Converted:
		return "converted"
	case Kept:
		return "kept"
	case Blocked:
		return "blocked"
	case Dropped:
		return "dropped"
	}
	return "unset"
}

// Reason is why a field cannot be converted, or why nothing is lost where one is dropped.
type Reason struct {
	// Object and Path are the field, as in "spec.http[2].match[0].authority".
	Object api.Ref
	Path   string
	// Fact is the id of the fact, as in "C-24".
	Fact string
	// Text says what and why, in a sentence without a full stop.
	Text string
	// Remedy is what a person can do; "" where nothing needs to be done.
	Remedy string
}

func compareReason(a, b Reason) int {
	return cmp.Or(a.Object.Compare(b.Object), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Fact, b.Fact), cmp.Compare(a.Text, b.Text))
}

// HostResult is the conversion for one host: of all the VirtualServices that a waypoint of its service applies. They
// are converted together or not at all, since a host with both kinds of routes has no defined order (facts L-30, C-02).
type HostResult struct {
	// Host is the full name, lower case.
	Host string
	// Service is the Service or ServiceEntry of the host; empty when there is none.
	Service api.Ref
	Class   Class
	// VirtualServices that take part, oldest first.
	VirtualServices []api.Ref
	// Objects to create when Class is Converted: version Services, their DestinationRules, routes. Sorted by kind,
	// namespace and name; the same version Service may be part of several hosts.
	Objects []api.Content
	// Versions are the Services of subsets that the routes lead to, also those that exist already; sorted.
	Versions []VersionService
	// Why are the reasons of Kept or Blocked; of a blocked host also those that would have kept it.
	Why []Reason
	// Dropped is what has no counterpart and why nothing is lost by that.
	Dropped []Reason
}

// VersionService is a Service that stands for a subset of another: it has the same endpoints (facts C-50).
type VersionService struct {
	Service, Of api.Ref
	Subset      string
}

// VirtualServiceResult is what becomes of one VirtualService.
type VirtualServiceResult struct {
	Object api.Ref
	// Class is the worst of its hosts: Blocked before Kept before Converted.
	Class Class
	// Hosts are the hosts of it that are converted, the others those that stay; full names, sorted.
	Hosts, Others []string
	// Rest is the VirtualService without what is converted, such as its part for ingress gateways; nil when nothing
	// is left of it, and the same as before when Class is not Converted and no host is.
	Rest api.Content
	// Why and Dropped of all its hosts and of itself.
	Why, Dropped []Reason
}

// Result is the conversion of all VirtualServices of a mesh.
type Result struct {
	// Hosts sorted by name.
	Hosts []HostResult
	// VirtualServices sorted by reference; delegates are among them.
	VirtualServices []VirtualServiceResult
	// Subsets of all DestinationRules, sorted by rule and path.
	Subsets []SubsetResult
}

// notes collects reasons while a host is converted.
type notes struct {
	kept, blocked, dropped []Reason
}

func (n *notes) keep(o *api.Object, path, fact, text string) {
	n.kept = append(n.kept, Reason{Object: o.Ref(), Path: path, Fact: fact, Text: text})
}

func (n *notes) block(o *api.Object, path, fact, text, remedy string) {
	n.blocked = append(n.blocked, Reason{Object: o.Ref(), Path: path, Fact: fact, Text: text, Remedy: remedy})
}

func (n *notes) drop(o *api.Object, path, fact, text string) {
	n.dropped = append(n.dropped, Reason{Object: o.Ref(), Path: path, Fact: fact, Text: text})
}

// class follows from what was noted.
func (n *notes) class() Class {
	switch {
	case len(n.blocked) > 0:
		return Blocked
	case len(n.kept) > 0:
		return Kept
	}
	return Converted
}

func tidy(rs []Reason) []Reason {
	slices.SortFunc(rs, compareReason)
	return slices.Compact(rs)
}
