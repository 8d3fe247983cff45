package promql

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/prometheus/prometheus/model/labels"
)

// ValueEdit is what the value of a variable must become, where a query takes its reporter from one: a query is not
// widened past what its reader chose, the variable's definition is (observability.md 3.1 rule b).
type ValueEdit struct {
	// Raw is the matcher's value as written in the query, without quotes, such as $qrep.
	Raw string
	// Old is the filled value, such as destination. With several values selected they are joined by |.
	Old string
	// New is Old with waypoint added, such as destination|waypoint. Where a variable lets one select several values, that
	// is waypoint as one more value, selected: dashboards escape the | inside of a value then.
	New string
}

// reporterVariable is a reporter's matcher whose value comes from a variable.
type reporterVariable struct {
	edit ValueEdit
	kind labels.MatchType
}

// variableOf finds the reporter's matcher that the filled text has another value in; nil without one.
func variableOf(q *Query, s Selector, b selectorBytes) (*reporterVariable, error) {
	filled, err := lexSelector(s.filled)
	if err != nil {
		return nil, err
	}
	if len(filled.Matchers) != len(b.Matchers) {
		return nil, fmt.Errorf("promql: selector %s has other matchers when the variables are filled in", s.Text(q))
	}
	for i, m := range b.Matchers {
		f := filled.Matchers[i]
		raw := s.Text(q)[m.ValueStart:m.End]
		if m.Label != "reporter" || raw == s.filled[f.ValueStart:f.End] {
			continue
		}
		for _, matcher := range s.Matchers {
			if matcher.Name == "reporter" {
				e := ValueEdit{Raw: unquoted(raw), Old: matcher.Value, New: matcher.Value}
				if !matcher.Matches("waypoint") {
					e.New += "|waypoint"
				}
				return &reporterVariable{edit: e, kind: matcher.Type}, nil
			}
		}
	}
	return nil, nil
}

// variableForm gives the edits of the query that a form needs besides the variable's new value. Forms that drop the
// matcher of reporter, or split it, would take the choice from the variable.
func (w rewriting) variableForm(f Form) ([]Edit, bool) {
	if w.variable.kind != labels.MatchEqual && w.variable.kind != labels.MatchRegexp {
		return nil, f == Keep
	}
	switch f {
	case Keep:
		return nil, true
	case N, S:
		return w.edits("", "")
	case D:
		return w.edits("", w.names.exclusion())
	case NoForm, U, DPlus, Either, L4:
	}
	return nil, false
}

// variableEdits keep the variable; = becomes =~, since the new value is a regular expression.
func (w rewriting) variableEdits(m matcherBytes, more string) []Edit {
	var edits []Edit
	end := w.s.Start + m.End
	if w.variable.edit.New != w.variable.edit.Old {
		if w.literal {
			edits = append(edits, Edit{w.s.Start + m.OpStart, end, "=~" + strconv.Quote(w.variable.edit.New)})
		} else if w.variable.kind == labels.MatchEqual {
			edits = append(edits, Edit{w.s.Start + m.OpStart, w.s.Start + m.OpEnd, "=~"})
		}
	}
	if more != "" {
		edits = append(edits, Edit{end, end, "," + more})
	}
	return edits
}

// sortedValues has each variable once; ok is false when one variable would need two values.
func sortedValues(all []ValueEdit) (out []ValueEdit, ok bool) {
	slices.SortFunc(all, func(a, b ValueEdit) int {
		return cmp.Or(cmp.Compare(a.Raw, b.Raw), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
	all = slices.Compact(all)
	for i := 1; i < len(all); i++ {
		if all[i].Raw == all[i-1].Raw {
			return nil, false
		}
	}
	return all, true
}
