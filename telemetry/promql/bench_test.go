package promql_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// migration is a plan of many states: services call the next one in a row, and move one at a time, client first, each
// with a waypoint from just before its own move on.
func migration(services, states int) (promql.Traffic, []series.State) {
	var all []series.Workload
	for i := range services {
		name := fmt.Sprintf("svc%d", i)
		all = append(all, series.Workload{Ref: series.Ref{Namespace: "shop", Name: name}, App: name, Node: fmt.Sprintf("node%d", i%3)})
	}
	traffic := promql.Traffic{Calls: []series.Call{{From: gateway, To: all[0], Service: all[0].Ref, Protocol: series.HTTP, Rate: 50, LatencyMS: 40, Bytes: 1000}}}
	for i := range services - 1 {
		traffic.Calls = append(traffic.Calls, series.Call{From: all[i], To: all[i+1], Service: all[i+1].Ref, Protocol: series.HTTP, Rate: 100, Errors: .01, LatencyMS: 40, Bytes: 1000})
	}
	var plan []series.State
	for n := range states {
		s := state(fmt.Sprintf("state %d", n), mesh.ModeSidecar, mesh.ModeSidecar)
		for i, w := range all {
			s.Modes[w.Ref] = mesh.ModeSidecar
			if i*states < n*services {
				s.Modes[w.Ref] = mesh.ModeAmbient
			}
			if i*states <= n*services && n > 0 {
				s.Waypoints[w.Ref] = series.Waypoint{Workload: waypoint}
			}
		}
		plan = append(plan, s)
	}
	return traffic, plan
}

// BenchmarkPlan is what a run does for each query: judge it in every state and rewrite it.
func BenchmarkPlan(b *testing.B) {
	traffic, plan := migration(20, 40)
	shapes := []string{
		`sum(rate(istio_requests_total{reporter="destination",destination_service_name="%s",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{reporter="destination",destination_service_name="%s"}[5m])) > 0.05`,
		`sum by (destination_workload) (rate(istio_requests_total{reporter="source",destination_service_name="%s"}[5m]))`,
		`histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{reporter="destination",destination_service_name="%s"}[5m])))`,
		`sum(rate(istio_requests_total{destination_service_name=~"%s"}[5m])) < 10`,
		`absent(istio_requests_total{reporter="destination",destination_service_name="%s"})`,
	}
	for b.Loop() {
		bench, err := promql.NewBench(promql.Input{Traffic: traffic}, plan)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 50 {
			shape, service := shapes[i%len(shapes)], fmt.Sprintf("svc%d", i/len(shapes))
			args := []any{service, service}
			if i%len(shapes) > 0 {
				args = args[:1]
			}
			q, err := promql.Parse(fmt.Sprintf(shape, args...))
			if err != nil {
				b.Fatal(err)
			}
			for n := 1; n < len(plan); n++ {
				bench.Judge(q, 0, n)
			}
			bench.Rewrite(q)
		}
	}
}

// BenchmarkSameMinute runs an alert minute by minute in each state of a plan and around each transition.
func BenchmarkSameMinute(b *testing.B) {
	traffic, plan := migration(20, 40)
	for i := range traffic.Calls {
		traffic.Calls[i].Errors = 0
	}
	q, err := promql.Parse(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="svc7",response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{reporter="destination",destination_service_name="svc7"}[5m])) > 0.05`)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		bench, err := promql.NewBench(promql.Input{Traffic: traffic}, plan)
		if err != nil {
			b.Fatal(err)
		}
		r := bench.Rewrite(q)
		if m := bench.SameMinute(q, &r, 5*time.Minute, 0); !m.Same {
			b.Fatal(m)
		}
	}
}

// TestEqualCallsAddUp: what states share must not be counted once for two calls that are alike.
func TestEqualCallsAddUp(t *testing.T) {
	traffic := probed()
	traffic.Calls = append(traffic.Calls, traffic.Calls[1])
	r, err := promql.Evaluate(`sum(rate(istio_requests_total{`+dst+`}[5m]))`, traffic, worlds()[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.String(); got != "200" {
		t.Errorf("two calls of 100 requests a second are %s", got)
	}
}
