package inventory

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// record is what is remembered of an object to recognise it again.
type record struct {
	sum [sha256.Size]byte
	uid string
	at  string
	via string
}

// place is where the object was read, in words.
func (r record) place() string {
	if r.via == "" {
		return r.at
	}
	return r.at + " (built by " + r.via + ")"
}

// once tells whether the object was not read before. A second one with the same
// content is counted, one with another content is an unknown as well, and one
// with another uid is an error: the input is of two clusters. Pods may come back
// under their name with a new uid (StatefulSets), so they are not asked.
func (b *builder) once(d *document) (bool, error) {
	ref := d.ref(b.cluster)
	r := record{uid: str(d.content, "metadata", "uid"), at: d.origin.At(""), via: b.via}
	sum, err := contentSum(d.content)
	if err != nil {
		return false, err
	}
	r.sum = sum
	old, ok := b.seen[ref]
	if !ok {
		b.seen[ref] = r
		return true, nil
	}
	if r.uid != "" && old.uid != "" && r.uid != old.uid && d.gk.kind != "Pod" {
		return false, &TwoClustersError{Object: ref, First: old.place(), Second: r.place()}
	}
	b.count.Duplicate++
	if old.sum != r.sum {
		b.unknowns = append(b.unknowns, api.Unknown{
			ID: DuplicateObject, Subject: ref,
			What:     fmt.Sprintf("%s stands in %s and, with other content, in %s; the first was taken", ref, old.place(), r.place()),
			Could:    "the cluster may hold the other one",
			Action:   "read only the files that are applied",
			Evidence: []api.Evidence{{Object: ref, Source: old.at}, {Object: ref, Source: r.at}},
		})
	}
	return false, nil
}

// contentSum digests what an object says, without what an API server adds and
// changes by itself.
func contentSum(c api.Content) ([sha256.Size]byte, error) {
	own := make(map[string]any, len(c))
	for k, v := range c {
		switch k {
		case "status", "apiVersion":
		case "metadata":
			own[k] = authoredMetadata(v)
		default:
			own[k] = v
		}
	}
	text, err := json.Marshal(own)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("digest of an object: %w", err)
	}
	return sha256.Sum256(text), nil
}

// authoredMetadata is metadata without the server's fields and kubectl's copy.
func authoredMetadata(v any) any {
	meta, ok := v.(map[string]any)
	if !ok {
		return v
	}
	out := make(map[string]any, len(meta))
	for k, v := range meta {
		switch k {
		case "managedFields", "resourceVersion", "uid", "generation", "selfLink", "creationTimestamp":
			continue
		case "annotations":
			if a, ok := v.(map[string]any); ok {
				kept := map[string]any{}
				for k, v := range a {
					if k != lastApplied {
						kept[k] = v
					}
				}
				if len(kept) == 0 {
					continue
				}
				v = kept
			}
		}
		out[k] = v
	}
	return out
}

// lastApplied is where kubectl apply keeps a whole copy of the object.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"
