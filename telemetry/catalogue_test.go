package telemetry_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/telemetry"
	"github.com/ambientplan/ambientplan/telemetry/promql"
)

func parsesAsPromQL(expr string) error {
	_, err := promql.Parse(expr)
	return err
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// services end as L4, WP and iuw, in the order of the table.
var services = []string{"prices", "reviews", "orders"}

// tried are all patterns judged over one plan.
func tried(t *testing.T, s shop, all []pattern) *telemetry.Result {
	files := map[string]string{}
	for _, p := range all {
		for _, svc := range services {
			if strings.Contains(p.file, "SERVICE") || svc == services[0] {
				files[fileOf(p, svc)] = strings.ReplaceAll(p.file, "SERVICE", svc)
			}
		}
	}
	return s.analyzed(t, files)
}

func fileOf(p pattern, svc string) string {
	ext := ".yaml"
	switch {
	case strings.HasPrefix(p.file, "{"):
		ext = ".json"
	case strings.HasPrefix(p.file, "import "):
		ext = ".js"
	case strings.HasPrefix(p.file, "SELECT "):
		ext = ".nrql"
	}
	return path.Join(strings.ReplaceAll(p.id, " ", "-"), svc+ext)
}

// outcome is what becomes of a pattern, in one line: at the end of the plan for each of the three Services, and the
// rule, severity and form of its rewrite.
func outcome(r *telemetry.Result, p pattern) string {
	var verdicts, forms, rules []string
	for _, svc := range services {
		file := fileOf(p, svc)
		if !strings.Contains(p.file, "SERVICE") {
			file = fileOf(p, services[0])
		}
		var v, f, rule []string
		for _, q := range r.Report.Queries {
			if q.Source.File == file {
				v, f, rule = append(v, endOf(q, "shop/"+svc)), append(f, formOf(q)), append(rule, ruleOf(q))
			}
		}
		for _, x := range r.Report.Findings {
			if x.Source.File == file {
				rule = append(rule, x.Rule+" "+string(x.Severity))
			}
		}
		for _, n := range r.Report.Notes {
			if n.Source.File == file {
				v, f, rule = append(v, n.Kind), append(f, "-"), append(rule, "-")
			}
		}
		verdicts, forms, rules = append(verdicts, once(v, " + ")), append(forms, once(f, " + ")), append(rules, once(rule, " + "))
	}
	return fmt.Sprintf("%s; %s; %s", once(verdicts, " | "), once(forms, " | "), once(rules, " | "))
}

// once joins what differs.
func once(all []string, between string) string {
	if len(slices.Compact(slices.Clone(all))) == 1 {
		return all[0]
	}
	return strings.Join(all, between)
}

// word is a verdict in the facts' words.
func word(v api.TelemetryVerdict) string {
	return map[api.TelemetryVerdict]string{
		api.TelemetryUnaffected: "ok", api.TelemetryGoesSilent: "silent", api.TelemetryFiresFalsely: "false", api.TelemetryDoubleCounts: "double",
		api.TelemetryCountsHalf: "half", api.TelemetryChangesMeaning: "meaning", api.TelemetryAlreadyDead: "dead", api.TelemetryCannotTell: "unknown",
	}[v]
}

// endOf is the verdict on a Service when the plan is done.
func endOf(q api.TelemetryQuery, service string) string {
	if len(q.Spans) == 0 {
		return word(q.Verdict)
	}
	for _, s := range q.Spans {
		if !s.Passing && s.To.Step == "" && (len(s.Services) == 0 || slices.Contains(s.Services, service)) {
			return word(s.Verdict)
		}
	}
	return "ok"
}

func formOf(q api.TelemetryQuery) string {
	switch w := q.Rewrite; {
	case w == nil:
		return "-"
	case w.Query == "" && w.By == "" && len(w.Variables) == 0:
		return "offer"
	case w.Proved && w.Written:
		return w.Form + "!"
	case w.Proved:
		return w.Form + " by hand"
	case w.Written:
		return w.Form + " until L4"
	default:
		return w.Form + "?"
	}
}

func ruleOf(q api.TelemetryQuery) string {
	return strings.TrimSpace(q.Rule + " " + string(q.Severity))
}

// catalogue says what becomes of each pattern over the plan in which clients move first:
//
//   - its verdict when the plan is done, in the facts' words: for a service that ends L4, one with a waypoint, and one
//     whose gateway goes through its waypoint as well. One word is for all three; " + " is between several queries of a
//     file. What is only flagged has the kind of its note.
//   - the form of the rewrite that is right on all ways between steps. "!" is proved and written, "by hand" proved and
//     not written (the number changes beside a threshold, or a tool makes the query), "until L4" written and right until
//     nobody counts requests any more, "?" the best that is known and not right, "offer" a query of another meaning that
//     people may choose.
//   - the rule and severity.
//
// facts are the verdicts that the catalogue publishes, L4/WP, "-" where it has none for that end. Where these differ,
// because says why, and who is right.
var catalogue = []struct{ id, want, facts, because string }{
	{"Q01", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q02", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q03", "silent; U until L4 | U! | U!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q04", "silent; offer | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q05", "silent; offer | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q06", "silent; D until L4 | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/half", "the alert sleeps because its number is halved; the panel below says half"},
	{"Q06 panel", "silent | half | half; D? | D by hand | D by hand; T01 warning | T04 warning | T03 warning", "silent/half", ""},
	{"Q07", "silent | ok | ok; - | - | D!; T01 blocker |  | T02 warning", "silent/ok", ""},
	{"Q08", "silent; offer | D! | D!; T09 blocker", "silent/silent", ""},
	{"Q08 alert", "silent; offer | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q09", "silent; offer | N! | N!; T09 blocker", "silent/silent", ""},
	{"Q10", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q11", "silent | meaning | meaning; - | D! | D!; T01 blocker | T05 warning | T05 warning", "silent/meaning", ""},
	{"Q12", "silent; offer; T01 blocker", "silent/silent", ""},
	{"Q13", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q14", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q15", "unknown; -; T06 warning", "-/meaning", "clients that give up are not in the model: it is not known, and said so"},
	{"Q16", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q17", "silent; - | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q18", "silent; U until L4 | U! | U!; T01 warning", "silent/silent", ""},
	{"Q19", "silent; offer | S? | offer; T01 blocker", "silent/silent", ""},
	{"Q20", "silent; offer | D! | D!; T01 warning", "silent/silent", ""},
	{"Q21", "ok | ok | meaning; D by hand; T03 warning", "half/half", "only orders is called by the gateway; the source view that the facts name is as right as D"},
	{"Q22", "silent | ok | double; U until L4; T01 warning", "silent/ok", ""},
	{"Q23", "silent; D until L4; T01 warning", "silent/silent", ""},
	{"Q24", "unknown; -; T06 info", "silent/-", "labels that a Telemetry adds are not in the model"},
	{"Q25", "unknown; -; T06 info", "silent/-", "labels that a Telemetry adds are not in the model"},
	{"Q26", "silent; D until L4; T01 warning", "silent/silent", ""},
	{"Q27", "silent; U until L4; T01 warning", "silent/silent", ""},
	{"Q28", "silent; offer; T01 warning", "silent/silent", ""},
	{"Q29", "silent; - | D! | D!; T01 warning", "silent/silent", ""},
	{"Q30", "silent; offer | D! | D!; T01 warning", "silent/silent", ""},
	{"Q31", "unknown; -; T06 info", "silent/-", "the port of targets is that of the scrape configuration: the model has 15020"},
	{"Q32", "silent; offer; T01 warning", "meaning/meaning", "the waypoint has no team here, so the join is empty; with one it would be the wrong team"},
	{"Q33", "ok; -; ", "ok/ok", ""},
	{"Q34", "silent | half | half; D?; T01 warning", "silent/half", ""},
	{"Q35", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q35 mesh", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q36", "silent; offer | D! | D!; T10 blocker", "silent/silent", ""},
	{"Q37", "silent; offer; T10 blocker", "silent/silent", ""},
	{"Q38", "silent; D?; T10 blocker", "silent/silent", ""},
	{"Q39", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q40", "silent; offer | S? | S?; T01 blocker", "silent/silent", ""},
	{"Q41", "unknown; -; T06 warning", "silent/silent", "calls that leave the mesh are not in the model"},
	{"Q42", "silent; offer | D? | D?; T10 blocker", "false/false", "false only while servers have sidecars (wave 2, see the spans); afterwards nothing reports as destination"},
	{"Q43", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q44", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q45", "meaning; offer; T03 warning", "meaning/meaning", ""},
	{"Q46", "meaning; -; T05 warning", "ok/ok", "it watches fewer and fewer sidecars, and never ztunnel: more careful than the facts, which say ok and then to add ztunnel"},
	{"Q47", "false; offer; T02 warning", "false/false", ""},
	{"Q48", "unknown; offer; T06 warning", "false/false", "a job is named as somebody configured it: the model has none of that name"},
	{"Q48 down", "ok; -; ", "ok/ok", ""},
	{"Q49", "meaning; offer; T05 info", "meaning/meaning", ""},
	{"Q50", "meaning; offer; T05 warning", "false/false", "the model has few pods, so that waypoints outnumber them; the offer says what the facts say"},
	{"Q51", "ok; -; ", "ok/ok", ""},
	{"Q52", "ok; -; ", "ok/ok", ""},
	{"Q53", "false; offer; T02 warning", "false/false", ""},
	{"Q54", "silent; offer; T01 blocker", "silent/silent", ""},
	{"Q55", "meaning; offer; T05 info", "silent/silent", "gateways and waypoints still report their version, so it is not silent"},
	{"Q56", "unknown; -; T06 warning", "silent/meaning", "statistics of Envoy are not in the model"},
	{"Q57", "unknown; -; T06 info", "-/meaning", "statistics of Envoy are not in the model"},
	{"Q58", "false; either! | N! | N!; T02 warning", "false/false", ""},
	{"Q59", "ok; -; ", "ok/ok", ""},
	{"Q60", "ok; -; ", "ok/ok", ""},
	{"Q61", "silent; - | N! | N!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q62", "silent; - + offer | D! | D!; T01 blocker | T01 warning | T01 warning", "silent/silent", ""},
	{"Q63", "silent + silent + false; - + - + either by hand | D! + D! + N by hand | D! + D! + N by hand; T01 blocker + T01 blocker + T02 warning | T01 warning + T01 warning + T02 warning | T01 warning + T01 warning + T02 warning", "silent + silent + false/silent + silent + false", ""},
	{"Q64", "silent; offer | D! | D!; T01 blocker | T01 warning | T01 warning", "flag/flag", "better than flagged: the query of an SLO of OpenSLO is read and rewritten"},
	{"Q65", "silent; - | N by hand | N by hand; T07 blocker", "silent/silent", ""},
	{"Q66", "silent; N until L4; T07 blocker", "silent/silent", ""},
	{"Q67", "silent; U until L4; T07 blocker", "silent/silent", ""},
	{"Q67 passes", "silent; U until L4; T07 blocker", "silent/silent", ""},
	{"Q68", "unrecognised; -; -", "flag/flag", "flagged: the text names metrics of the mesh and nobody reads it"},
	{"Q69", "silent; offer | D! | D!; T08 blocker", "silent/silent", ""},
	{"Q69 nulls", "silent; offer | D! | D!; T08 blocker", "silent/silent", ""},
	{"Q69 both", "silent | half | half; D? | D by hand | D by hand; T08 blocker", "silent/half", ""},
	{"Q70", "silent; - | D! | D!; T08 blocker + T17 blocker", "silent/silent", ""},
	{"Q71", "silent; offer | D! | D!; T08 blocker", "silent/silent", ""},
	{"Q72", "; ; T17 blocker", "-/-", "a watch: no query, but a blocker"},
	{"Q73", "; ; ", "ok/ok", "nothing in it is about the mesh, and nothing is said"},
	{"Q74", "ok + silent | meaning + silent | meaning + silent; - + offer | D? + D! | D? + D!;  + T01 warning | T05 info + T01 warning | T05 info + T01 warning", "silent/silent", "the variable: on an L4 service TCP fills it with the same names, as the facts say of its or; with a waypoint it names the waypoint. The panel is silent"},
	{"Q75", "silent; D until L4; T01 warning", "silent/silent", ""},
	{"Q76", "silent + unknown; D until L4 + -; T01 warning + T06 info", "silent/silent", "the panel takes one pod, which no value is known for; the variable is silent as published"},
	{"Q77", "meaning + silent; offer | offer + D! | offer + D!; T05 info + T01 warning", "meaning/meaning", "the annotation changes its meaning; the stat over the step is empty at its end"},
	{"Q78", "silent; U until L4 | U! | U!; T01 warning", "silent/silent", ""},
	{"Q79", "flag only; -; -", "flag/flag", "flagged, not read"},
	{"Q80", "unrecognised; -; -", "flag/flag", "flagged, not read"},
	{"Q81", "unrecognised; -; -", "flag/flag", "flagged, not read"},
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it judges all patterns")
	}
	all := patterns()
	if len(all) != len(catalogue) {
		t.Fatalf("%d patterns, %d in the table", len(all), len(catalogue))
	}
	r := tried(t, newShop(t, clientsFirst), all)
	for i, c := range catalogue {
		if all[i].id != c.id {
			t.Fatalf("pattern %s is %s in the table", all[i].id, c.id)
		}
		if got := outcome(r, all[i]); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.id, got, c.want)
		}
	}
}

// The table holds all 81 patterns, and a reason for each verdict that is not the published one, and only for these.
func TestCatalogueIsWholeAndSaysWhyItDiffers(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, c := range catalogue {
		have[c.id[:3]] = true
		ends, _, _ := strings.Cut(c.want, ";")
		words := strings.Split(ends, " | ")
		l4, wp := words[0], words[min(1, len(words)-1)]
		if ours := l4 + "/" + wp; (ours != c.facts) != (c.because != "") {
			t.Errorf("%s: %s here, %s in the facts, because %q", c.id, ours, c.facts, c.because)
		}
	}
	for i := 1; i <= 81; i++ {
		if id := fmt.Sprintf("Q%02d", i); !have[id] {
			t.Errorf("%s is not in the table", id)
		}
	}
}

// The simple forms, as people will read them: reviews, over the plan in which clients move first. The facts write D with
// the names that the plan knows.
func TestTextsOfRewrites(t *testing.T) {
	t.Parallel()
	const d = `reporter=~"destination|waypoint",source_principal!~".*/ns/shop/sa/waypoint",source_workload!~"waypoint"`
	for _, tt := range []struct{ id, want string }{
		// Clients move in one step, so that calls count twice all together: a ratio forgives that, and N is enough.
		{"Q01", `sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_service_name="reviews",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{reporter=~"destination|waypoint",destination_service_name="reviews"}[5m])) > 0.05`},
		{"Q04", `sum(rate(istio_requests_total{` + d + `,destination_service_name="reviews"}[5m])) < 10`},
		// The threshold was tuned on a number that counted each call twice.
		{"Q06", `sum(rate(istio_requests_total{destination_service_name="reviews",` + d + `}[5m])) > 500`},
		{"Q08", `sum(rate(istio_requests_total{` + d + `,destination_service_name="reviews",response_code=~"5.."}[5m])) or vector(0)`},
		{"Q20", `topk(5, sum by (source_workload) (rate(istio_requests_total{` + d + `,destination_service_name="reviews"}[5m])))`},
		// app is the emitter's label: of the server it is destination_app.
		{"Q29", `sum(rate(istio_requests_total{` + d + `,destination_app="reviews"}[5m]))`},
		{"Q58", `absent(istio_requests_total{reporter=~"destination|waypoint",destination_service_name="reviews"})`},
		{"Q69", `sum(rate(istio_requests_total{` + d + `,destination_service_name="reviews"}[1m]))`},
		{"Q71", `sum(rate(istio_requests_total{` + d + `,destination_service_name="reviews"}[1m]))`},
	} {
		t.Run(tt.id, func(t *testing.T) {
			all := patterns()
			p := all[slices.IndexFunc(all, func(p pattern) bool { return p.id == tt.id })]
			q := newShop(t, clientsFirst).one(t, fileOf(p, "reviews"), strings.ReplaceAll(p.file, "SERVICE", "reviews"))
			if w := q.Rewrite; w == nil || !w.Proved || !w.Written || w.Query != tt.want {
				t.Errorf("got %+v\nwant %s", w, tt.want)
			}
		})
	}
}

// What decides without a person is a blocker with words for what happens then.
func TestWhatTheWorstPatternsDo(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ id, rule, effect string }{
		{"Q67 passes", "T07", "every release passes, whatever it does"},
		{"Q67", "T07", "every release fails its analysis and is rolled back"},
		{"Q66", "T07", "every release fails its analysis and is rolled back"},
		{"Q69", "T08", "an empty result counts as 0: it scales to the minimum under full load"},
		{"Q69 nulls", "T08", "it stops scaling: no replica is added under load"},
		{"Q69 both", "T08", "it sees half of the load and runs half of the replicas"},
		{"Q08", "T09", "it shows a good number while nothing is measured"},
		{"Q36", "T10", "it does not fire any more, which looks like a healthy system"},
		{"Q37", "T10", "it does not fire any more, which looks like a healthy system"},
	} {
		t.Run(tt.id, func(t *testing.T) {
			all := patterns()
			p := all[slices.IndexFunc(all, func(p pattern) bool { return p.id == tt.id })]
			q := newShop(t, clientsFirst).one(t, fileOf(p, "reviews"), strings.ReplaceAll(p.file, "SERVICE", "reviews"))
			if q.Rule != tt.rule || q.Severity != api.Blocker || q.Effect != tt.effect {
				t.Errorf("%s %s %q", q.Rule, q.Severity, q.Effect)
			}
		})
	}
}
