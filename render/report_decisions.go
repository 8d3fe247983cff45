package render

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// reportDecision is one decision with everything that it rests on.
type reportDecision struct {
	Subject, Namespace, Kind, Why string
	// Wave is "" when it cuts over in none.
	Wave     string
	Waypoint string
	// Facts are what else is known of it, each in words: today's mode, workloads, owners.
	Facts   []string
	Cheaper string
	Needs   []reportNeed
	Waived  []reportNeed
	// Unknowns are ids of what could change it.
	Unknowns string
}

type reportNeed struct {
	What     string
	Evidence []string
	Because  string
}

func reportDecisionOf(d *api.Decision) reportDecision {
	row := decisionRowOf(d)
	out := reportDecision{
		Subject: row.Subject, Namespace: d.Namespace, Kind: row.Kind, Why: cmp.Or(d.Why, "the plan does not say"), Cheaper: d.Cheaper,
		Unknowns: strings.Join(d.Unknowns, ", "), Facts: []string{"today: " + cmp.Or(d.Mode, "unknown")},
	}
	if d.Wave > 0 {
		out.Wave = fmt.Sprint(d.Wave)
	}
	if d.Waypoint != nil {
		out.Waypoint = row.Waypoint + " (scope: " + cmp.Or(d.Waypoint.Scope, "not known") + ")"
	}
	if len(d.Workloads) > 0 {
		var ws []string
		for _, w := range d.Workloads {
			ws = append(ws, w.String())
		}
		out.Facts = append(out.Facts, "workloads: "+strings.Join(ws, ", "))
	}
	for _, f := range []struct{ name, value string }{{"team", d.Team}, {"owner", d.Owner}, {"contact", d.Contact}, {"tier", d.Tier}} {
		if f.value != "" {
			out.Facts = append(out.Facts, f.name+": "+f.value)
		}
	}
	for i := range d.Needs {
		out.Needs = append(out.Needs, reportNeedOf(&d.Needs[i]))
	}
	for i := range d.Waived {
		out.Waived = append(out.Waived, reportNeedOf(&d.Waived[i]))
	}
	return out
}

func reportNeedOf(n *api.Need) reportNeed {
	what := string(n.Capability) + " (" + n.Rule + ")"
	if n.Reason != "" {
		what += ": " + n.Reason
	}
	return reportNeed{What: what, Evidence: evidenceLines(n.Evidence), Because: n.Waived}
}

// filtersOf are the decisions and namespaces that there are, sorted.
func filtersOf(list []reportDecision) (kinds, spaces []string) {
	k, s := map[string]bool{}, map[string]bool{}
	for i := range list {
		k[list[i].Kind], s[list[i].Namespace] = true, true
	}
	return slices.Sorted(maps.Keys(k)), slices.Sorted(maps.Keys(s))
}
