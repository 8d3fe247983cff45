package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// callPicture shows who calls whom across the waves: a row for each namespace, for each service where there is one
// namespace, or for each wave of a large mesh, and arcs between rows. An arc of the order is a constraint between rows
// that shaped it.
type callPicture struct {
	Width, Height int
	// By is "namespace", "service" or "wave".
	By   string
	Rows []callRow
	Arcs []callArc
	// Lines are the same arcs in words; More counts those that are not listed.
	Lines []callLine
	More  int
	// Notes say what is left out.
	Notes []string
}

type callRow struct {
	Y           int
	Label, Full string
	Band        bool
}

// Top and Baseline are where the band and the text of a row stand.
func (r callRow) Top() int      { return r.Y - rowHeight/2 }
func (r callRow) Baseline() int { return r.Y + 4 }

type callArc struct {
	Path, Head, Title string
	Order             bool
}

type callLine struct{ From, To, What, Why string }

// Sizes of the picture, in pixels, and when it sums up.
const (
	rowHeight   = 24
	labelWidth  = 250
	widestArc   = 340
	maxRows     = 60
	maxArcs     = 400
	maxCallRows = 300
	maxLabel    = 30
)

// spacePair is an ordered pair of rows.
type spacePair struct{ from, to string }

// pairFacts is what is known between two rows.
type pairFacts struct {
	calls  int
	orders int
	why    string
}

func callsOf(p *api.MigrationPlan) callPicture {
	waves := map[string]int{}
	for _, n := range p.Namespaces {
		waves[n.Name] = n.Wave
	}
	var c callPicture
	var pairs map[spacePair]*pairFacts
	switch {
	case len(waves) == 1:
		c.By = "service"
		waves, pairs = servicePairs(p)
	case len(waves) > maxRows:
		c.By = "wave"
		c.Notes = append(c.Notes, fmt.Sprintf("%d namespaces are too many for one picture: each row is a wave", len(waves)))
		pairs = pairsOf(p, waves, func(ns string) string { return waveLabel(waves, ns) })
	default:
		c.By = "namespace"
		pairs = pairsOf(p, waves, func(ns string) string { return ns })
	}
	rowOf := func(name string) string { return name }
	if c.By == "wave" {
		rowOf = func(ns string) string { return waveLabel(waves, ns) }
	}
	at := c.place(p, waves, rowOf, pairs)
	keys := slices.SortedFunc(maps.Keys(pairs), func(a, b spacePair) int {
		return cmp.Or(
			-cmp.Compare(min(pairs[a].orders, 1), min(pairs[b].orders, 1)), -cmp.Compare(pairs[a].calls, pairs[b].calls),
			cmp.Compare(at[a.from], at[b.from]), cmp.Compare(at[a.to], at[b.to]),
		)
	})
	for i, k := range keys {
		f := pairs[k]
		if i < maxArcs {
			c.Arcs = append(c.Arcs, arcOf(k, f, c.Rows[at[k.from]].Y, c.Rows[at[k.to]].Y))
		}
		if i < maxCallRows {
			c.Lines = append(c.Lines, callLine{k.from, k.to, f.words(), f.why})
		}
	}
	c.More = max(0, len(keys)-maxCallRows)
	if n := len(keys) - maxArcs; n > 0 {
		c.Notes = append(c.Notes, fmt.Sprintf("%d more pairs that call each other, the least often, are not drawn", n))
	}
	if len(p.Calls) == 0 {
		c.Notes = append(c.Notes, "no call is known: the order rests on policies, routes and risk alone")
	}
	return c
}

// servicePairs are the pairs inside of the one namespace of a plan, and the waves of its services. A workload stands
// for the service that it is behind.
func servicePairs(p *api.MigrationPlan) (map[string]int, map[spacePair]*pairFacts) {
	waves, behind := map[string]int{}, map[api.Ref]string{}
	for i := range p.Decisions {
		d := &p.Decisions[i]
		name := cmp.Or(d.Service, d.Workload, d.Subject.Name)
		waves[name] = d.Wave
		for _, w := range d.Workloads {
			behind[w] = cmp.Or(behind[w], name)
		}
	}
	pairs := map[spacePair]*pairFacts{}
	at := func(from, to string) *pairFacts {
		k := spacePair{from, to}
		if pairs[k] == nil {
			pairs[k] = &pairFacts{}
		}
		return pairs[k]
	}
	for _, e := range distinctCalls(p) {
		from, ok := behind[e.From]
		if !ok {
			from = cmp.Or(e.From.Name, outsidePlan)
		}
		if from != e.To.Name {
			at(from, e.To.Name).calls++
		}
	}
	for _, k := range p.Constraints {
		if from, to := k.Before.Service, k.After.Service; from != "" && to != "" && from != to {
			f := at(from, to)
			f.orders++
			f.why = cmp.Or(f.why, k.Reason)
		}
	}
	return waves, pairs
}

// distinctCalls are the calls of a plan without ports and without how they are known.
func distinctCalls(p *api.MigrationPlan) []api.Edge {
	seen := map[[2]api.Ref]bool{}
	var out []api.Edge
	for i := range p.Calls {
		if k := [2]api.Ref{p.Calls[i].From, p.Calls[i].To}; !seen[k] {
			seen[k] = true
			out = append(out, p.Calls[i])
		}
	}
	return out
}

// outsidePlan is the row of whoever is in no namespace of the plan.
const outsidePlan = "outside of the plan"

// words say what is known between two rows.
func (f *pairFacts) words() string {
	switch {
	case f.orders == 0:
		return count(f.calls, "call")
	case f.calls == 0:
		return "goes first"
	}
	return "goes first; " + count(f.calls, "call")
}

// waveLabel is the row of a namespace when rows are waves.
func waveLabel(waves map[string]int, ns string) string {
	n, ok := waves[ns]
	switch {
	case !ok:
		return outsidePlan
	case n == 0:
		return "in no wave"
	}
	return fmt.Sprintf("wave %d", n)
}

func pairsOf(p *api.MigrationPlan, waves map[string]int, rowOf func(string) string) map[spacePair]*pairFacts {
	pairs := map[spacePair]*pairFacts{}
	at := func(from, to string) *pairFacts {
		k := spacePair{rowOf(from), rowOf(to)}
		if pairs[k] == nil {
			pairs[k] = &pairFacts{}
		}
		return pairs[k]
	}
	for _, e := range distinctCalls(p) {
		from, to := e.From.Namespace, e.To.Namespace
		if _, ok := waves[from]; !ok {
			from = outsidePlan
		}
		if _, ok := waves[to]; !ok {
			to = outsidePlan
		}
		if rowOf(from) != rowOf(to) {
			at(from, to).calls++
		}
	}
	for _, k := range p.Constraints {
		if k.Before.Namespace != "" && k.After.Namespace != "" && rowOf(k.Before.Namespace) != rowOf(k.After.Namespace) {
			f := at(k.Before.Namespace, k.After.Namespace)
			f.orders++
			f.why = cmp.Or(f.why, k.Reason)
		}
	}
	return pairs
}

// place puts namespaces or waves into rows, from the first wave to the last and then what is in none, and gives the index of each.
func (c *callPicture) place(p *api.MigrationPlan, waves map[string]int, rowOf func(string) string, pairs map[spacePair]*pairFacts) map[string]int {
	const inNone, outside = 1 << 30, 1<<30 + 1
	rank, full := map[string]int{}, map[string]string{}
	for ns, w := range waves {
		k := rowOf(ns)
		rank[k], full[k] = cmp.Or(w, inNone), k
		if c.By != "wave" {
			full[k] = fmt.Sprintf("%s (%s)", k, waveLabel(waves, ns))
		}
	}
	for k := range pairs {
		for _, end := range []string{k.from, k.to} {
			if _, ok := rank[end]; !ok {
				rank[end], full[end] = outside, end
			}
		}
	}
	if c.By == "wave" {
		for _, w := range p.Waves {
			if k := fmt.Sprintf("wave %d", w.Number); full[k] != "" {
				full[k] = fmt.Sprintf("%s: %s, %s", k, w.Name, count(len(w.Namespaces), "namespace"))
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(rank), func(a, b string) int { return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(a, b)) })
	at := map[string]int{}
	for i, n := range names {
		at[n] = i
		row := callRow{Y: i*rowHeight + rowHeight/2, Label: shortened(n), Full: full[n]}
		if rank[n] < inNone {
			row.Band = rank[n]%2 == 1
			if c.By != "wave" {
				row.Label = shortened(fmt.Sprintf("%d · %s", rank[n], n))
			}
		}
		c.Rows = append(c.Rows, row)
	}
	c.Height, c.Width = len(names)*rowHeight, labelWidth+widestArc
	return at
}

// arcOf draws from one row to another, with a head at its end.
func arcOf(k spacePair, f *pairFacts, from, to int) callArc {
	const x = labelWidth
	bend := min(24+7*max(from-to, to-from)/rowHeight, widestArc)
	a := callArc{
		Path:  fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x, from, x+bend*4/3, from, x+bend*4/3, to, x+4, to),
		Head:  fmt.Sprintf("%d,%d %d,%d %d,%d", x+1, to, x+9, to-4, x+9, to+4),
		Title: fmt.Sprintf("%s to %s: %s", k.from, k.to, f.words()),
		Order: f.orders > 0,
	}
	if f.why != "" {
		a.Title += "; " + f.why
	}
	return a
}

// shortened cuts a label that is too long for its column, by characters.
func shortened(s string) string {
	r := []rune(plain(s))
	if len(r) <= maxLabel {
		return string(r)
	}
	return string(r[:maxLabel-1]) + "…"
}
