package render

import (
	"bytes"
	"cmp"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"slices"
	"strings"
	"text/template"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/templates"
)

// checklist is one wave as its templates read it.
type checklist struct {
	Number     int
	Name       string
	Incomplete []string
	// Unknowns of this wave and of no namespace in particular; the others are counted.
	Unknowns      []api.Unknown
	OtherUnknowns int
	Uncovered     []api.KindCoverage
	Namespaces    []api.PlanNamespace
	Reasons       []string
	NotBefore     string
	Teams         []string
	Decisions     []decisionRow
	Findings      []api.Finding
	Steps         []stepPart
	Back          []backPart
	NoWayBack     []string
	// Pointer is the file that says where each namespace stands.
	Pointer string
	// Telemetry are dashboards, alerts and the like; NotUnderstood counts what was not understood of them.
	Telemetry     []telemetryRow
	NotUnderstood int
}

type decisionRow struct{ Subject, Kind, Waypoint, Why, Waived string }

type stepPart struct {
	N               int
	Name, What      string
	Namespaces      []string
	Dir             string
	Adds            string
	Proof           proofPart
	Before, After   []api.Check
	Changes, Manual []changeRow
}

type changeRow struct{ Op, Object, Why, Rules, Owner, Manual string }

type backPart struct {
	N                       int
	Name, What, Undoes, Dir string
	To                      string
	Adds, Drops             string
	Changes, Manual         []changeRow
	Checks                  []api.Check
	Proof                   proofPart
}

// FormatError is a format that a document does not have.
type FormatError struct{ Format string }

// Error names the formats that there are.
func (e *FormatError) Error() string {
	return fmt.Sprintf("format %q is neither markdown nor html", e.Format)
}

// WaveError is a wave that the plan does not have.
type WaveError struct {
	Wave int
	Have []int
}

// Error names the waves that there are.
func (e *WaveError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("no wave %d: the plan has no waves", e.Wave)
	}
	return fmt.Sprintf("no wave %d: the plan has %d to %d", e.Wave, slices.Min(e.Have), slices.Max(e.Have))
}

// Checklist is one wave for the people who carry it out: what moves and why, each
// step with its checks, and the way back. format is "markdown" or "html"; the HTML
// is one file that loads nothing. Errors are *WaveError, *FormatError or *PlanError.
func Checklist(p *api.MigrationPlan, wave int, format string) ([]byte, error) {
	t, err := assemble(p, Options{})
	if err != nil {
		return nil, err
	}
	var have []int
	for i := range p.Waves {
		if p.Waves[i].Number == wave {
			return t.checklistAs(i, format)
		}
		have = append(have, p.Waves[i].Number)
	}
	return nil, &WaveError{Wave: wave, Have: have}
}

func (t *Tree) checklistAs(i int, format string) ([]byte, error) {
	switch format {
	case "markdown":
		return markdown("checklist.md.tmpl", t.checklist(i))
	case "html":
		return html("checklist.html.tmpl", t.checklist(i))
	}
	return nil, &FormatError{Format: format}
}

// markdown executes a text template with the escaping functions.
func markdown(name string, data any) ([]byte, error) {
	funcs := template.FuncMap{"md": func(v any) string { return mdText(fmt.Sprint(v)) }, "code": mdCode, "fenced": mdBlock}
	t, err := template.New(name).Funcs(funcs).Option("missingkey=error").ParseFS(templates.FS, "*.md.tmpl")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, err
	}
	return tidy(b.Bytes()), nil
}

// html executes an HTML template.
func html(name string, data any) ([]byte, error) {
	text, err := fs.ReadFile(templates.FS, name)
	if err != nil {
		return nil, err
	}
	funcs := htmltemplate.FuncMap{"plain": func(v any) string { return plain(fmt.Sprint(v)) }, "lines": func(s string) string { return visible(s, true) }}
	t, err := htmltemplate.New(name).Funcs(funcs).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}

// tidy leaves one empty line where templates leave several, and none at the end.
func tidy(b []byte) []byte {
	for bytes.Contains(b, []byte("\n\n\n")) {
		b = bytes.ReplaceAll(b, []byte("\n\n\n"), []byte("\n\n"))
	}
	return append(bytes.TrimSpace(b), '\n')
}

// checklist collects what concerns one wave.
func (t *Tree) checklist(i int) *checklist {
	p, w := t.plan, &t.plan.Waves[i]
	c := &checklist{
		Number: w.Number, Name: w.Name, Incomplete: p.Incomplete, Reasons: w.Reasons,
		NotBefore: w.NotBefore, Teams: w.Teams, Pointer: t.pointerFile(),
	}
	if len(c.Incomplete) == 0 && !p.Complete {
		c.Incomplete = []string{"the plan says that it is not complete, and not why"}
	}
	mine := waveNamespaces(w)
	for _, u := range p.Unknowns {
		if ns := namespaceOf(u.Subject); ns == "" || mine[ns] {
			c.Unknowns = append(c.Unknowns, u)
		} else {
			c.OtherUnknowns++
		}
	}
	for _, k := range p.Coverage {
		if !k.State.Known() {
			if k.State == api.CoverageUnset {
				k.State = api.NotKnown
			}
			c.Uncovered = append(c.Uncovered, k)
		}
	}
	for _, n := range p.Namespaces {
		if slices.Contains(w.Namespaces, n.Name) {
			c.Namespaces = append(c.Namespaces, n)
		}
	}
	for k := range p.Decisions {
		if d := &p.Decisions[k]; mine[d.Namespace] {
			c.Decisions = append(c.Decisions, decisionRowOf(d))
		}
	}
	for _, f := range p.Findings {
		if p.Telemetry != nil && strings.HasPrefix(f.ID, "T") {
			continue // in the part on dashboards and alerts, with the step that it belongs to
		}
		if ns := namespaceOf(f.Subject); f.Severity != api.Info && (ns == "" || mine[ns]) {
			c.Findings = append(c.Findings, f)
		}
	}
	for j := range w.Steps {
		c.Steps = append(c.Steps, t.stepPart(i, j))
	}
	c.Telemetry, c.NotUnderstood = telemetryOf(p, w)
	t.backParts(i, c)
	return c
}

// waveNamespaces are the namespaces that move in a wave or whose objects it
// changes. What wave 0 lists for people to restart is neither.
func waveNamespaces(w *api.Wave) map[string]bool {
	out := map[string]bool{}
	for _, ns := range w.Namespaces {
		out[ns] = true
	}
	for _, s := range w.Steps {
		for _, c := range s.Changes {
			if ns := namespaceOf(c.Object); ns != "" && c.Op != api.OpManual {
				out[ns] = true
			}
		}
	}
	return out
}

// namespaceOf is the namespace that a subject is in or is; "" for none.
func namespaceOf(r api.Ref) string {
	if r.Namespace == "" && r.Kind == "Namespace" && r.Group == "" {
		return r.Name
	}
	return r.Namespace
}

func decisionRowOf(d *api.Decision) decisionRow {
	row := decisionRow{Subject: subjectName(d), Kind: cmp.Or(string(d.Kind), "not decided"), Why: d.Why}
	if d.Waypoint != nil {
		row.Waypoint = d.Waypoint.Namespace + "/" + d.Waypoint.Name
	}
	var waived []string
	for _, n := range d.Waived {
		waived = append(waived, string(n.Capability)+": "+n.Waived)
	}
	row.Waived = strings.Join(waived, "; ")
	return row
}

// subjectName is "namespace/service", or "namespace/workload (Kind)" where there is no service.
func subjectName(d *api.Decision) string {
	if d.Service != "" {
		return d.Namespace + "/" + d.Service
	}
	name := d.Namespace + "/" + cmp.Or(d.Workload, d.Subject.Name)
	if d.Subject.Kind != "" {
		name += " (" + d.Subject.Kind + ")"
	}
	return name
}

func (t *Tree) stepPart(i, j int) stepPart {
	s := &t.plan.Waves[i].Steps[j]
	dirs := t.waves[i].steps[j]
	part := stepPart{N: j + 1, Name: s.Name, What: s.What, Namespaces: s.Namespaces, Proof: proofOf(s.Proof), Dir: dirs.dir, Adds: t.pointerLines(dirs.adds)}
	for _, c := range s.Checks {
		if c.When == "before" {
			part.Before = append(part.Before, c)
		} else {
			part.After = append(part.After, c)
		}
	}
	part.Changes, part.Manual = changeRows(s.Changes)
	return part
}

func changeRows(changes []api.Change) (tree, manual []changeRow) {
	for i := range changes {
		c := &changes[i]
		row := changeRow{Op: opWord(c.Op), Object: c.Object.String(), Why: c.Why, Rules: strings.Join(c.Rules, ", "), Owner: ownerWords(c.Owner), Manual: cmp.Or(c.Manual, c.Why)}
		if c.Op == api.OpManual {
			manual = append(manual, row)
		} else {
			tree = append(tree, row)
		}
	}
	return tree, manual
}

func opWord(o api.Op) string {
	switch o {
	case api.OpFragment:
		return "set fields of"
	case api.OpCreate, api.OpPatch, api.OpDelete, api.OpManual:
		return string(o)
	case api.OpUnset:
	}
	return "unknown operation on"
}

// ownerWords say where a change has to be made when somebody else manages the object.
func ownerWords(o *api.Owner) string {
	if o == nil {
		return ""
	}
	what := map[string]string{
		"argocd": "the repository of the Argo CD application", "flux": "the repository of the Flux object",
		"helm": "the values of the Helm release", "controller": "the object that controls it,", "operator": "the object of its operator,",
	}[o.By]
	s := "change it in " + cmp.Or(what, o.By) + " " + cmp.Or(o.Name, "(name not known)") + " instead, or it will be undone"
	if o.Evidence != "" {
		s += " (" + o.Evidence + ")"
	}
	return s
}

// backParts fills the way back, numbered as its directories are.
func (t *Tree) backParts(i int, c *checklist) {
	w, dirs := &t.plan.Waves[i], &t.waves[i]
	for j := len(w.Steps) - 1; j >= 0; j-- {
		s := &w.Steps[j]
		changes, _ := changeRows(s.Changes)
		if len(s.Rollback) == 0 && len(changes) > 0 {
			c.NoWayBack = append(c.NoWayBack, s.Name)
		}
		for k := range s.Rollback {
			r := &s.Rollback[k]
			part := backPart{N: len(c.Back) + 1, Name: r.Name, What: r.What, Undoes: s.Name, Checks: r.Checks, Proof: proofOf(r.Proof)}
			if k < len(dirs.steps[j].back) {
				part.Dir = dirs.steps[j].back[k]
				part.Adds = t.pointerLines(dirs.steps[j].backAdds[k])
				part.Drops = t.pointerLines(dirs.steps[j].backDrops[k])
			}
			switch r.To {
			case "":
			case "base":
				part.To = "before this wave"
			default:
				part.To = "at the end of step " + r.To
			}
			part.Changes, part.Manual = changeRows(r.Changes)
			c.Back = append(c.Back, part)
		}
	}
}

// pointerFile is the path of the pointer; "" when the plan changes no object.
func (t *Tree) pointerFile() string {
	if t.pointer == "" {
		return ""
	}
	return t.pointer + "/kustomization.yaml"
}

// pointerLines are components as lines of the pointer.
func (t *Tree) pointerLines(dirs []string) string {
	var lines []string
	for _, d := range dirs {
		lines = append(lines, "- "+relative(t.pointer, d))
	}
	return strings.Join(lines, "\n")
}
