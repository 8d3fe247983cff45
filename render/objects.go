package render

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Annotations that make controllers treat a fragment as what it is, a part of somebody
// else's object: never pruned, always applied on the server's side, not held against a
// schema that requires more, and other managers' fields left alone (argo-cd
// docs/user-guide/sync-options.md; fluxcd kustomize-controller docs/spec/v1/kustomizations.md
// "Controlling the apply behavior of resources": without Merge, Flux takes the fields that
// kubectl set, and removes those that the fragment lacks).
const (
	argoSyncOptions = "argocd.argoproj.io/sync-options"
	fluxPrune       = "kustomize.toolkit.fluxcd.io/prune"
	fluxNoPrune     = "disabled"
	fluxApply       = "kustomize.toolkit.fluxcd.io/ssa"
	fluxMerge       = "Merge"
)

// argoFragment are Argo CD's options for a fragment, by name.
func argoFragment() [][2]string {
	return [][2]string{{"Prune", "false"}, {"ServerSideApply", "true"}, {"Validate", "false"}}
}

// argoOptions are the sync options of a fragment that has some already: ours are set,
// others stay.
func argoOptions(old string) string {
	var out []string
	for _, o := range strings.Split(old, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(o), "=")
		if name != "" && !slices.ContainsFunc(argoFragment(), func(f [2]string) bool { return f[0] == name }) {
			out = append(out, strings.TrimSpace(o))
		}
	}
	for _, f := range argoFragment() {
		out = append(out, f[0]+"="+f[1])
	}
	return strings.Join(out, ",")
}

// held is the object as the tree holds it. A fragment is part of an object that
// belongs to somebody else: when it later leaves the tree, or the whole tree is
// removed, a controller with pruning on would delete the object itself, a
// Namespace with all that is in it. So every fragment forbids it, and says that it is
// a part. This is the only
// place where the tree holds a field that the plan does not.
func held(c api.Content, fragment bool) api.Content {
	c = clone(c).(map[string]any)
	if !fragment {
		return c
	}
	meta, ok := c["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		c["metadata"] = meta
	}
	notes, ok := meta["annotations"].(map[string]any)
	if !ok {
		notes = map[string]any{}
		meta["annotations"] = notes
	}
	old, _ := notes[argoSyncOptions].(string)
	notes[argoSyncOptions] = argoOptions(old)
	notes[fluxPrune] = fluxNoPrune
	notes[fluxApply] = fluxMerge
	return c
}

// clone copies a JSON value without the nulls of its maps: the API server drops
// them, and a null in a patch deletes.
func clone(v any) any {
	switch v := v.(type) {
	case api.Content:
		return clone(map[string]any(v))
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, e := range v {
			if e != nil {
				out[k] = clone(e)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = clone(e)
		}
		return out
	}
	return v
}

// identify checks that the content is the object that the plan says it is.
func identify(ref api.Ref, c api.Content) error {
	meta, _ := c["metadata"].(map[string]any)
	version, _ := c["apiVersion"].(string)
	kind, _ := c["kind"].(string)
	name, _ := meta["name"].(string)
	ns, _ := meta["namespace"].(string)
	is := api.Ref{Group: api.GroupOf(version), Kind: kind, Namespace: ns, Name: name}
	ref.Cluster = ""
	if is != ref || version == "" || name == "" {
		return fmt.Errorf("the content is %s of %q, not %s of group %q", is, version, ref, ref.Group)
	}
	return nil
}

// Documents writes objects as one YAML stream, keys in alphabetical order, in the
// order given.
func Documents[T ~map[string]any](objs []T) ([]byte, error) {
	var b bytes.Buffer
	for i, o := range objs {
		if i > 0 {
			b.WriteString("---\n")
		}
		if err := api.Encode(&b, map[string]any(o)); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// sortedRefs are the keys of a state in their total order.
func sortedRefs(s map[api.Ref]api.Content) []api.Ref {
	return slices.SortedFunc(maps.Keys(s), api.Ref.Compare)
}

func sortedFolders(f folders) []string { return slices.Sorted(maps.Keys(f)) }

func sortedKeys(m map[api.Ref]string) []api.Ref {
	return slices.SortedFunc(maps.Keys(m), api.Ref.Compare)
}
