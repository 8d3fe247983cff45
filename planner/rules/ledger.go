package rules

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// LedgerID is the id under which a field that no rule dealt with is reported.
const LedgerID = "ledger"

// maxLedgerPaths bounds how many fields of one object are listed.
const maxLedgerPaths = 20

// ledger reports every field of every mesh object that no rule dealt with. It
// walks the object itself, so that a field nobody thought of cannot be missed.
func (r *Result) ledger(st *mesh.State) {
	inv := st.Inventory()
	for i := range inv.Objects {
		o := &inv.Objects[i]
		if !inLedger(o) {
			continue
		}
		ref := o.Ref()
		done := r.accounted[ref]
		if done[""] {
			continue
		}
		var open []string
		walk(o.Content["spec"], "spec", done, &open)
		if len(open) == 0 {
			continue
		}
		slices.Sort(open)
		u := api.Unknown{
			ID: LedgerID, Subject: ref,
			What:   fmt.Sprintf("no rule of this version understands %s", strings.Join(open[:min(len(open), maxLedgerPaths)], ", ")),
			Could:  "whatever this field does for sidecars may be missing after the move",
			Action: "find out what the field does in ambient mode; consent to it by id in the MigrationPolicy when it does not matter",
		}
		for _, p := range open[:min(len(open), maxLedgerPaths)] {
			u.Evidence = append(u.Evidence, api.Evidence{Object: ref, Path: p})
		}
		r.Unknowns = append(r.Unknowns, u)
	}
}

// inLedger tells whether an object configures the mesh. Autoscalers, budgets,
// CRDs and Canaries are read only for context.
func inLedger(o *api.Object) bool {
	switch mesh.KindOf(api.GroupOf(o.APIVersion), o.Kind) {
	case mesh.KindAutoscaler, mesh.KindDisruptionBudget, mesh.KindCRD, mesh.KindIngress, mesh.KindCanary:
		return false
	}
	return true
}

// walk collects the leaf paths below v that are not accounted for. A path is
// accounted for when it or a parent of it is.
func walk(v any, path string, done map[string]bool, open *[]string) {
	if done[path] {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 0 && path != "spec" {
			*open = append(*open, path)
		}
		for k, c := range v {
			walk(c, Join(path, k), done, open)
		}
	case []any:
		if len(v) == 0 {
			*open = append(*open, path)
		}
		for i, c := range v {
			walk(c, fmt.Sprintf("%s[%d]", path, i), done, open)
		}
	case nil:
		if path != "spec" {
			*open = append(*open, path)
		}
	default:
		*open = append(*open, path)
	}
}

// Join adds a key to a field path, quoted when it has dots or brackets.
func Join(path, key string) string {
	if strings.ContainsAny(key, `.[]"/`) {
		return fmt.Sprintf("%s[%q]", path, key)
	}
	return path + "." + key
}
