package telemetry_test

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

const chain = `groups:
- name: mesh
  rules:
  - record: service:requests:rate5m
    expr: sum by (destination_service_name, response_code) (rate(istio_requests_total{reporter="destination"}[5m]))
  - record: service:errors:ratio5m
    expr: sum(service:requests:rate5m{response_code=~"5..",destination_service_name="reviews"}) / sum(service:requests:rate5m{destination_service_name="reviews"})
  - alert: Errors
    expr: service:errors:ratio5m > 0.05
`

// A rule on a rule on a rule: the lowest is rewritten, and what rests on it is mended by that.
func TestWhatRestsOnARewrittenRuleIsMended(t *testing.T) {
	t.Parallel()
	r := newShop(t, clientsFirst).analyzed(t, map[string]string{"rules.yaml": chain})
	if len(r.Report.Queries) != 3 {
		t.Fatalf("%d queries", len(r.Report.Queries))
	}
	for i, q := range r.Report.Queries {
		if q.Verdict != api.TelemetryGoesSilent {
			t.Errorf("%s: %s", q.Source.Name, q.Verdict)
		}
		w := q.Rewrite
		switch {
		case w == nil:
			t.Errorf("%s: no rewrite", q.Source.Name)
		case i == 0 && (!w.Written || w.By != ""):
			t.Errorf("the lowest rule is not rewritten: %+v", w)
		case i > 0 && (w.By != "service:requests:rate5m" || !w.Proved):
			t.Errorf("%s is not mended by the lowest rule: %+v", q.Source.Name, w)
		}
	}
	if n := strings.Count(r.Rewritten[0].Data, "waypoint"); n == 0 {
		t.Errorf("nothing was written:\n%s", r.Rewritten[0].Data)
	}
}

// A rule that counted each call twice would give half of its number: what rests on it has thresholds for the number of
// today, so it is not mended by such a rewrite, and the rule is not rewritten behind its back.
func TestARuleWithAnotherNumberMendsNothing(t *testing.T) {
	t.Parallel()
	r := newShop(t, clientsFirst).analyzed(t, map[string]string{"rules.yaml": `groups:
- name: mesh
  rules:
  - record: reviews:requests:rate5m
    expr: sum(rate(istio_requests_total{destination_service_name="reviews"}[5m]))
  - alert: Busy
    expr: reviews:requests:rate5m > 150
`})
	for _, q := range r.Report.Queries {
		w := q.Rewrite
		if w != nil && (w.Written || w.By != "") {
			t.Errorf("%s: %+v", q.Source.Name, w)
		}
		if q.Source.Name == "Busy" && (q.Verdict == api.TelemetryUnaffected || q.Severity != api.Blocker) {
			t.Errorf("Busy: %s, %s", q.Verdict, q.Severity)
		}
	}
	if len(r.Rewritten) > 0 {
		t.Errorf("written:\n%s", r.Rewritten[0].Data)
	}
}

// Rules on themselves must neither loop nor be called fine.
func TestARuleOnItself(t *testing.T) {
	t.Parallel()
	r := newShop(t, clientsFirst).analyzed(t, map[string]string{"rules.yaml": `groups:
- name: mesh
  rules:
  - record: a
    expr: sum(b) + sum(rate(istio_requests_total{reporter="destination"}[5m]))
  - record: b
    expr: sum(a)
  - alert: Loop
    expr: a > 1
`})
	for _, q := range r.Report.Queries {
		if q.Verdict != api.TelemetryCannotTell {
			t.Errorf("%s: %s, %s", q.Source.Name, q.Verdict, q.Why)
		}
	}
}

// An alert on a service that ends without a waypoint is a blocker, even if a rewrite is right until then.
func TestARewriteThatEndsDoesNotSoothe(t *testing.T) {
	t.Parallel()
	q := newShop(t, mixed).one(t, "rules.yaml", rule(`sum(rate(istio_requests_total{reporter="source",destination_service_name="prices"}[5m])) < 10`))
	if q.Severity != api.Blocker || q.Rule != "T01" {
		t.Errorf("%s %s, rewrite %+v", q.Rule, q.Severity, q.Rewrite)
	}
}

// Rules that name the one below twice must not double the work with each of them.
func TestRulesOnRulesAreReadOnce(t *testing.T) {
	t.Parallel()
	text := "groups:\n- name: mesh\n  rules:\n  - {record: r0, expr: 'sum(rate(istio_requests_total{reporter=\"destination\"}[5m]))'}\n"
	for i := 1; i < 10; i++ {
		text += fmt.Sprintf("  - {record: r%d, expr: (r%d + r%d) / 2}\n", i, i-1, i-1)
	}
	r := newShop(t, clientsFirst).analyzed(t, map[string]string{"rules.yaml": text})
	if n := len(r.Report.Queries); n != 10 {
		t.Fatalf("%d queries", n)
	}
	for _, q := range r.Report.Queries {
		if q.Verdict == api.TelemetryUnaffected {
			t.Errorf("%s: %s", q.Source.Name, q.Why)
		}
	}
}
