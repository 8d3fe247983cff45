package render

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// explainCalls lists the calls to and from a subject that metrics show, with the time that
// was looked at: what is not called in it is not known to be called never.
func (t *text) explainCalls(p *api.MigrationPlan, s subject) {
	first := true
	for i := range p.Calls {
		e := &p.Calls[i]
		if e.Seen == nil || !s.is(e.To) && !s.is(e.From) {
			continue
		}
		if first {
			t.heading("CALLS that were seen", bold)
			first = false
		}
		became := ""
		switch {
		case e.Seen.Passed:
			became = ", and some passed"
		case e.Seen.Refused:
			became = ", and all were refused"
		}
		t.item("  - ", fmt.Sprintf("%s to %s, seen between %s and %s%s", e.From, e.To, e.Seen.From, e.Seen.Until, became))
		t.evidence("    ", e.Evidence)
	}
}
