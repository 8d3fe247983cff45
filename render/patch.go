package render

import (
	"maps"
	"reflect"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// patchBetween is the strategic-merge patch, found by identity and never by a
// target selector, that turns before into after: changed fields with their full
// value, lists whole, and null for what goes. A selector that matches nothing
// would build and do nothing; an identity that is missing fails the build. nil
// means that nothing changes.
func patchBetween(before, after api.Content) api.Content {
	p := mapPatch(before, after)
	if len(p) == 0 {
		return nil
	}
	return withIdentity(p, after)
}

// deletion is the patch that removes an object.
func deletion(c api.Content) api.Content {
	return withIdentity(map[string]any{"$patch": "delete"}, c)
}

// withIdentity adds what names the object to a patch.
func withIdentity(p map[string]any, c api.Content) api.Content {
	p["apiVersion"], p["kind"] = c["apiVersion"], c["kind"]
	meta, ok := p["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		p["metadata"] = meta
	}
	from, _ := c["metadata"].(map[string]any)
	for _, k := range []string{"name", "namespace"} {
		if v, ok := from[k]; ok {
			meta[k] = v
		}
	}
	return p
}

func mapPatch(before, after map[string]any) map[string]any {
	p := map[string]any{}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[k]; !ok {
			p[k] = nil
		}
	}
	for _, k := range slices.Sorted(maps.Keys(after)) {
		b, was := before[k]
		a := after[k]
		if was && reflect.DeepEqual(a, b) {
			continue
		}
		bm, bIsMap := b.(map[string]any)
		am, aIsMap := a.(map[string]any)
		if bIsMap && aIsMap {
			p[k] = mapPatch(bm, am)
			continue
		}
		p[k] = a
	}
	return p
}
