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
func tried(t *testing.T, s shop) *telemetry.Result {
	files := map[string]string{}
	for _, p := range patterns() {
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
	case strings.HasPrefix(p.file, "resource "):
		ext = ".tf"
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
		verdicts, forms, rules = append(verdicts, once(v)), append(forms, once(f)), append(rules, once(rule))
	}
	return fmt.Sprintf("%s; %s; %s", once(verdicts), once(forms), once(rules))
}

// once joins what differs.
func once(all []string) string {
	if len(slices.Compact(slices.Clone(all))) == 1 {
		return all[0]
	}
	return strings.Join(all, " | ")
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
