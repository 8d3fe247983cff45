package telemetry_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/telemetry"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// analyzed are the judged queries of files, by path.
func (s shop) analyzed(t testing.TB, files map[string]string) *telemetry.Result {
	t.Helper()
	in := telemetry.Input{State: s.state, Plan: s.plan, Planes: s.planes}
	for _, path := range sorted(files) {
		in.Files = append(in.Files, source.Parse(path, files[path], parsesAsPromQL))
	}
	source.Relate(in.Files)
	r, err := telemetry.Analyze(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// one is the only query of a file.
func (s shop) one(t testing.TB, path, text string) api.TelemetryQuery {
	t.Helper()
	r := s.analyzed(t, map[string]string{path: text})
	if len(r.Report.Queries) != 1 {
		t.Fatalf("%d queries in\n%s", len(r.Report.Queries), text)
	}
	return r.Report.Queries[0]
}

// What is right for each kind of call by itself may be wrong for all of them: these rewrites were called proved before
// all calls were looked at at once.
func TestARewriteIsProvedOnAllCallsAtOnce(t *testing.T) {
	t.Parallel()
	// late moves together with the servers, so that no sidecar ever calls an ambient server; while it waits, calls of
	// early are counted twice by destination|waypoint, and its own once.
	together := []move{
		{"enroll-early", []string{"early"}, false},
		{"waypoints-on", []string{"early"}, true},
		{"enroll-all", []string{"early", "late", "prices", "reviews", "orders"}, true},
	}
	// One version of reviews moves before the other.
	versions := []move{
		{"enroll-v1", []string{"reviews"}, true},
		{"enroll-v2", []string{"reviews", "reviews-v2"}, true},
		{"enroll-clients", []string{"early", "late", "reviews", "reviews-v2", "orders"}, true},
	}
	for _, tt := range []struct {
		name, expr string
		moves      []move
		more       []string
		// never is a part of the rewrite that is wrong, wanted is one of what is right.
		never, wanted string
	}{
		{
			"a ratio does not forgive that some calls count twice (3.1, N)",
			`sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m]))`,
			together, nil, `reporter=~"destination|waypoint",destination`, `source_workload!~"waypoint"`,
		},
		{
			"without reporter, the namespace of the target is the server's as well: calls of a gateway in another namespace come in (Q27)",
			`sum(rate(istio_requests_total{reporter="source",namespace="shop",destination_service_name=~"reviews|orders"}[5m]))`,
			clientsFirst, nil, `,namespace="shop"`, `source_workload_namespace="shop"`,
		},
		{
			"the client's view stands in for a server that counts nothing, not for one that counts a part",
			`sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m]))`,
			versions, []string{"reviews-v2"}, `unless`, `max by`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := newShop(t, tt.moves, tt.more...).one(t, "f.json", panel(tt.expr))
			if q.Verdict == api.TelemetryUnaffected {
				t.Fatalf("unaffected: %s", q.Why)
			}
			w := q.Rewrite
			if w == nil || !w.Proved || !w.Written {
				t.Fatalf("no rewrite is proved: %+v", w)
			}
			if strings.Contains(w.Query, tt.never) || !strings.Contains(w.Query, tt.wanted) {
				t.Errorf("form %s is called proved:\n%s", w.Form, w.Query)
			}
		})
	}
}

// For each caller by itself a ratio without reporter is what it was: both halves are counted twice, or both once. For
// all callers it is not: those that count once weigh less than those that still count twice (Q07).
func TestARatioOfCallsThatWeighDifferently(t *testing.T) {
	t.Parallel()
	text := rule(`sum(rate(istio_requests_total{destination_service_name="reviews",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{destination_service_name="reviews"}[5m])) > 0.05`)
	q := newShop(t, mixed).one(t, "f.yaml", text)
	if q.Verdict == api.TelemetryUnaffected || q.Rewrite == nil || !q.Rewrite.Proved {
		t.Errorf("%s: %s\n%+v", q.Verdict, q.Why, q.Rewrite)
	}
	// With all clients in one step nothing weighs more than anything else at any time.
	if q := newShop(t, clientsFirst).one(t, "f.yaml", text); q.Verdict != api.TelemetryUnaffected {
		t.Errorf("clients first: %s: %s", q.Verdict, q.Why)
	}
}

// How many pods there are is not in the model, so an alert on fewer than a number is judged by whether the number falls.
func TestFewerProxiesThanANumber(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"1", "3", "50"} {
		for _, expr := range []string{`count(kube_pod_container_status_ready{namespace="shop",container="istio-proxy"} == 1) < ` + n, `sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc"}) < ` + n} {
			if q := newShop(t, mixed).one(t, "f.yaml", rule(expr)); q.Verdict != api.TelemetryFiresFalsely {
				t.Errorf("%s: %s: %s", expr, q.Verdict, q.Why)
			}
		}
	}
}

// A selector by pod tells services apart that go the same ways.
func TestPodsTellServicesApart(t *testing.T) {
	t.Parallel()
	for svc, others := range map[string]string{"reviews": "orders", "orders": "reviews"} {
		q := newShop(t, clientsFirst).one(t, "f.json", panel(`sum by (pod) (rate(istio_requests_total{reporter="destination",pod=~"`+svc+`-.*"}[5m]))`))
		if q.Verdict != api.TelemetryGoesSilent {
			t.Errorf("%s: %s: %s", svc, q.Verdict, q.Why)
		}
		for _, s := range q.Spans {
			if slices.Contains(s.Services, "shop/"+others) {
				t.Errorf("%s is said to be about %v", svc, s.Services)
			}
		}
	}
}
