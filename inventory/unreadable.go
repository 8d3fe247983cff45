package inventory

import (
	"fmt"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Ids of the unknowns that reading gives.
const (
	UnreadableDocument = "unreadable-document"
	DuplicateObject    = "duplicate-object"
	UnrecognisedKind   = "unrecognised-kind"
	// TerminatingNamespace is a Namespace that is being deleted.
	TerminatingNamespace = "terminating-namespace"
)

// unreadable accounts for a document that does not parse.
func (b *builder) unreadable(c chunk, line int, id identity, why string) {
	b.count.Read++
	b.count.Unreadable++
	b.cannotRead(id, c.file, line, why)
}

// reject accounts for a document that parses and is no object, already counted as read.
func (b *builder) reject(d *document, why string) {
	b.count.Unreadable++
	b.cannotRead(identity{apiVersion: d.apiVersion, kind: d.gk.kind, namespace: d.namespace, name: d.name}, d.origin.File, d.origin.Line, why)
}

func (b *builder) cannotRead(id identity, file string, line int, why string) {
	at := file
	if line > 0 {
		at += ":" + strconv.Itoa(line)
	}
	id = id.safe()
	gk := canonical(id.apiVersion, id.kind)
	ref := api.Ref{Cluster: b.cluster, Group: gk.group, Kind: gk.kind, Namespace: id.namespace, Name: id.name}
	what := "a document"
	if id.kind != "" {
		what = "what looks like " + strings.TrimSpace(ref.String())
	}
	b.unknowns = append(b.unknowns, api.Unknown{
		ID: UnreadableDocument, Subject: ref,
		What:     fmt.Sprintf("%s at %s cannot be read: %s", what, at, why),
		Could:    "whatever it configures is missing from the plan",
		Action:   "render templates first (helm template, ytt, kustomize build) and read their output, or correct the file",
		Evidence: []api.Evidence{{Object: ref, Source: at}},
	})
	if id.kind == "" {
		return
	}
	// A list or a kustomization may hold anything.
	anything := id.kind == "List" || id.kind == "Kustomization"
	for _, k := range api.Kinds() {
		if anything || k.Kind == strings.TrimSuffix(gk.kind, "List") && (k.Group == gk.group || id.apiVersion == "") {
			key := groupKind{k.Group, k.Kind}
			if old, ok := b.partial[key]; !ok || at < old {
				b.partial[key] = at
			}
		}
	}
}

// unrecognised reports kinds of groups that do concern a mesh and that this
// version does not read: silence would be a loss.
func (b *builder) unrecognised(id identity, file string, line int) {
	id = id.safe()
	group := api.GroupOf(id.apiVersion)
	switch {
	case b.kinds[groupKind{group, id.kind}]:
		return
	case group == "template.openshift.io", group == "istio.io", strings.HasSuffix(group, ".istio.io"),
		group == "gateway.networking.k8s.io", group == "gateway.networking.x-k8s.io":
	default:
		return
	}
	at := file
	if line > 0 {
		at += ":" + strconv.Itoa(line)
	}
	ref := api.Ref{Cluster: b.cluster, Group: group, Kind: id.kind, Namespace: id.namespace, Name: id.name}
	b.unknowns = append(b.unknowns, api.Unknown{
		ID: UnrecognisedKind, Subject: ref,
		What:     fmt.Sprintf("%s at %s is of a kind (%s) that this version does not read", ref, at, id.apiVersion),
		Could:    "whatever it configures is missing from the plan",
		Action:   "check by hand what it does in ambient mode; consent to it by id in the MigrationPolicy when it does not matter",
		Evidence: []api.Evidence{{Object: ref, Source: at}},
	})
}

// safe drops what is no name, so that nothing a document claims to be called
// ends in a path or a page.
func (id identity) safe() identity {
	if !isName(id.name) {
		id.name = ""
	}
	if !isName(id.namespace) {
		id.namespace = ""
	}
	if !isName(id.kind) {
		id.kind = ""
	}
	if !isName(strings.Replace(id.apiVersion, "/", ".", 1)) {
		id.apiVersion = ""
	}
	return id
}
