package telemetry_test

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// A Prometheus of a tenancy adds namespace="..." to each selector of a rule, after the text that was judged. Rewrites
// that rest on what reports elsewhere are wrong there (1.4): the waypoint of the mesh is in shop.
func TestARewriteSeesNoMoreThanItsTenant(t *testing.T) {
	t.Parallel()
	const prometheus = `apiVersion: monitoring.coreos.com/v1
kind: Prometheus
metadata: {name: k8s, namespace: monitoring}
spec:
  enforcedNamespaceLabel: namespace
`
	const server = `sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m])) < 10`
	const client = `sum(rate(istio_requests_total{reporter="source",destination_service_name="reviews"}[5m])) < 10`
	for _, tt := range []struct {
		name, namespace, expr string
		enforced, proved      bool
	}{
		{"no tenancy", "team", server, false, true},
		{"the waypoint is in the tenant's namespace", "shop", server, true, true},
		{"the waypoint is in another namespace", "team", server, true, false},
		{"what clients report is in their namespaces", "shop", client, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			indented := strings.ReplaceAll(strings.TrimSpace(rule(tt.expr)), "\n", "\n  ")
			files := map[string]string{"rules.yaml": fmt.Sprintf("apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata: {name: r, namespace: %s}\nspec:\n  %s\n", tt.namespace, indented)}
			if tt.enforced {
				files["prometheus.yaml"] = prometheus
			}
			r := newShop(t, clientsFirst).analyzed(t, files)
			if len(r.Report.Queries) != 1 {
				t.Fatalf("%d queries", len(r.Report.Queries))
			}
			q := r.Report.Queries[0]
			if q.Verdict == api.TelemetryUnaffected || q.Rewrite == nil {
				t.Fatalf("%s, %+v", q.Verdict, q.Rewrite)
			}
			if q.Rewrite.Proved != tt.proved || q.Rewrite.Written != tt.proved {
				t.Errorf("proved %v, written %v: %v", q.Rewrite.Proved, q.Rewrite.Written, q.Rewrite.NotIn)
			}
		})
	}
}

// A variable that the tool fills is known where the file says it, and every service's otherwise.
func TestVariablesThatAToolFills(t *testing.T) {
	t.Parallel()
	template := func(args string) string {
		return strings.Replace(rollout(`successCondition: result[0] >= 0.95`, `sum(rate(istio_requests_total{reporter="destination",destination_service_name="{{args.service}}"}[5m]))`), "args: [{name: service}]", args, 1)
	}
	for _, tt := range []struct {
		args     string
		services string
	}{
		{"args: [{name: service, value: reviews}]", "shop/reviews"},
		{"args: [{name: service}]", "shop/orders shop/prices shop/reviews"},
	} {
		q := newShop(t, clientsFirst).one(t, "f.yaml", template(tt.args))
		have := map[string]bool{}
		for _, s := range q.Spans {
			for _, name := range s.Services {
				have[name] = true
			}
		}
		if got := strings.Join(sorted(have), " "); got != tt.services || q.Verdict != api.TelemetryGoesSilent || q.Severity != api.Blocker {
			t.Errorf("%s: %s of %s", tt.args, q.Verdict, got)
		}
		if w := q.Rewrite; w == nil || !w.Written || !strings.Contains(w.Query, `"{{args.service}}"`) {
			t.Errorf("%s: %+v", tt.args, w)
		}
	}
}

// A reporter variable that queries on connections share: its new value must change nothing for them.
func TestASharedVariableIsGuarded(t *testing.T) {
	t.Parallel()
	text := chooser(`{"name":"qrep","type":"custom","query":"source,destination","multi":false,"options":[{"text":"source","value":"source"},{"text":"destination","value":"destination","selected":true}],"current":{"text":"destination","value":"destination"}}`,
		`sum(rate(istio_requests_total{reporter=~"$qrep",destination_service_name="reviews"}[5m]))`)
	text = strings.Replace(text, `"targets":[`, `"targets":[{"refId":"B","expr":"sum(rate(istio_tcp_sent_bytes_total{reporter=~\"$qrep\"}[5m]))"},`, 1)
	r := newShop(t, clientsFirst).analyzed(t, map[string]string{"f.json": text})
	if len(r.Rewritten) != 1 || len(r.Rewritten[0].Variables) != 1 {
		t.Fatalf("%+v", r.Rewritten)
	}
	for _, q := range r.Report.Queries {
		t.Logf("%s: %s %+v %v", q.Query, q.Verdict, q.Rewrite, q.Advice)
	}
	if !strings.Contains(r.Rewritten[0].Data, `destination|waypoint`) {
		t.Errorf("the variable keeps its value:\n%s", r.Rewritten[0].Data)
	}
	// HTTP traffic has no TCP at a waypoint, so nothing is to be kept out here; the text stays.
	if !strings.Contains(r.Rewritten[0].Data, `istio_tcp_sent_bytes_total{reporter=~\"$qrep\"}`) {
		t.Errorf("the query on connections changed:\n%s", r.Rewritten[0].Data)
	}
}
