package render

import (
	"cmp"
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// readme is the tree as its README describes it.
type readme struct {
	Tool, Digest        string
	Incomplete          []string
	Waves               []readmeWave
	Held                []api.HeldNamespace
	Inventory           bool
	Pointer, PointerDir string
	ArgoKey, ArgoValue  string
	FluxKey, FluxValue  string
	FluxApply           string
	// Wrappers is the directory for the GitOps controller; Missing are the values that it lacks.
	Wrappers string
	// OwnBases are namespaces with a kustomization of the user's.
	OwnBases []ownBase
	Missing  []string
}

// ownBase is a namespace that a kustomization of the user's holds.
type ownBase struct{ Namespace, Path string }

type readmeWave struct {
	Number, Pods, Steps int
	Name, Proved, Dir   string
	Namespaces          []string
}

// prose writes the README of the tree, of each wave and of each way back.
func (t *Tree) prose() error {
	p := t.plan
	r := readme{
		Tool: p.Tool, Digest: p.Digest, Incomplete: p.Incomplete, Held: p.Held, Inventory: t.files["inventory.yaml"] != nil,
		Pointer: t.pointerFile(), PointerDir: cmp.Or(t.pointer, ""),
		ArgoKey: argoSyncOptions, ArgoValue: argoOptions(""), FluxKey: fluxPrune, FluxValue: fluxNoPrune, FluxApply: fluxApply + ": " + fluxMerge,
	}
	if t.wrappers != nil && t.pointer != "" {
		r.Wrappers, r.Missing = t.wrappers.flavour, t.wrappers.missing
	}
	for _, f := range t.bases {
		if u := t.user[f]; u != nil {
			r.OwnBases = append(r.OwnBases, ownBase{u.namespace, t.userReference(u)})
		}
	}
	for i := range p.Waves {
		w := &p.Waves[i]
		dir := t.waves[i].dir
		c := t.checklist(i)
		if err := t.document(dir+"/README.md", "checklist.md.tmpl", c); err != nil {
			return err
		}
		if len(c.Back) > 0 {
			if err := t.document(dir+"/"+rollbackDir+"/README.md", "rollback.md.tmpl", c); err != nil {
				return err
			}
		}
		r.Waves = append(r.Waves, readmeWave{Number: w.Number, Name: w.Name, Namespaces: w.Namespaces, Pods: w.Pods, Steps: len(w.Steps), Proved: provedWords(w), Dir: dir})
	}
	if t.pointer != "" {
		if err := t.document("COMMITS.md", "commits.md.tmpl", t.commits()); err != nil {
			return err
		}
	}
	return t.document("README.md", "readme.md.tmpl", r)
}

func (t *Tree) document(path, template string, data any) error {
	b, err := markdown(template, data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	t.files[path] = b
	return nil
}

// provedWords counts the steps of a wave that are proved.
func provedWords(w *api.Wave) string {
	proved, gaps := 0, 0
	for _, s := range w.Steps {
		switch s.Proof.Result {
		case api.Proved:
			proved++
		case api.Gap:
			gaps++
		case api.ProofUnknown, api.ProofUnset:
		}
	}
	out := fmt.Sprintf("%d of %d", proved, len(w.Steps))
	if gaps > 0 {
		out += fmt.Sprintf(", %d with a gap", gaps)
	}
	return out
}
