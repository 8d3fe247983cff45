package promql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

const (
	exprU = `sum(max by (source_workload,source_workload_namespace,destination_service,response_code) (sum by (reporter,source_workload,source_workload_namespace,destination_service,response_code) (rate(istio_requests_total{` + excluded + `,` + rev + `}[5m]))))`
	exprD = `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + excluded + `,` + rev + `}[5m]))`
	exprN = `sum(rate(istio_requests_total{reporter=~"destination|waypoint",` + rev + `}[5m]))`
)

// TestStep is observability.md 1.10: what five-minute rates do while pods restart.
func TestStep(t *testing.T) {
	sa := state("S->A", mesh.ModeSidecar, mesh.ModeAmbient)
	w := worlds()
	aw := state("A->A+W", mesh.ModeAmbient, mesh.ModeAmbient, reviews.Ref)
	for _, tt := range []struct {
		step, expr, want string
		from, to         series.State
	}{
		{"server first, destination", `sum(rate(istio_requests_total{` + dst + `}[5m]))`, "93 83 63 33 - -", w[0], sa},
		{"server first, D", exprD, "93 83 63 33 - -", w[0], sa},
		{"server first, U", exprU, "95 95 95 95 95 100", w[0], sa},
		{"client first, source", `sum(rate(istio_requests_total{reporter="source",` + rev + `}[5m]))`, "93 83 63 33 - -", w[0], w[1]},
		{"client first, D", exprD, "95 95 95 95 95 100", w[0], w[1]},
		{"waypoint on, N", exprN, "103 113 133 163 190 200", w[1], w[2]},
		{"waypoint on, D", exprD, "98 98 98 98 95 100", w[1], w[2]},
		{"server last, N", exprN, "187 177 157 127 95 100", w[2], aw},
		{"server last, D", exprD, "95 95 95 95 95 100", w[2], aw},
		{"both at once, D", exprD, "98 98 98 98 95 100", w[0], aw},
		{"both at once, U", exprU, "93 83 63 65 95 100", w[0], aw},
	} {
		t.Run(tt.step, func(t *testing.T) {
			traffic := probed()
			traffic.Calls = traffic.Calls[1:]
			traffic.Calls[0].Errors = 0
			b, err := promql.NewBench(promql.Input{Traffic: traffic}, []series.State{tt.from, tt.to})
			if err != nil {
				t.Fatal(err)
			}
			line, err := b.Timeline([]promql.Stage{{State: 0}, {State: 1, From: time.Second / 1000, Restarts: true}})
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range []int{30, 60, 120, 210, 300, 330} {
				r, err := line.At(q, time.Duration(s)*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				if len(r) == 0 {
					got = append(got, "-")
					continue
				}
				got = append(got, fmt.Sprintf("%.0f", r[0].Value+1e-6))
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("got %s, want %s", g, tt.want)
			}
		})
	}
}

// TestAlertFiresAtTheSameMinute: half an hour with an incident from minute 10 on. On the old model the original fires; after
// the step it does not, and the rewrite fires at the minute of the original.
func TestAlertFiresAtTheSameMinute(t *testing.T) {
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: healthy()}, []series.State{w[0], w[1], w[2], w[4]})
	if err != nil {
		t.Fatal(err)
	}
	original, err := promql.Parse(`sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) > 0.05`)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := b.Rewrite(original)
	if !rewrite.Complete() {
		t.Fatalf("not proved: %+v", rewrite.Failed)
	}
	rewritten, err := promql.Parse(rewrite.Text)
	if err != nil {
		t.Fatal(err)
	}
	incident := probed()
	run := func(q *promql.Query, state int) string {
		t.Helper()
		line, err := b.Timeline([]promql.Stage{{State: state}, {State: state, From: 10 * time.Minute, Traffic: &incident}})
		if err != nil {
			t.Fatal(err)
		}
		states, err := line.Alert(q, 2*time.Minute, 0, 20*time.Minute, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		for _, a := range states {
			s.WriteString(map[promql.AlertState]string{promql.Inactive: ".", promql.Pending: "p", promql.Firing: "f"}[a])
		}
		return s.String()
	}
	want := run(original, 0)
	if !strings.Contains(want, "ppf") || strings.Contains(run(original, 3), "f") {
		t.Fatalf("before: %s, after: %s", want, run(original, 3))
	}
	for state := range 4 {
		if d := cmp.Diff(want, run(rewritten, state)); d != "" {
			t.Errorf("state %d: %s", state, d)
		}
	}
}

func healthy() promql.Traffic {
	t := probed()
	for i := range t.Calls {
		t.Calls[i].Errors = 0
	}
	return t
}

// TestKeepFiringFor: an alert goes on firing for that long after its expression is empty, and is no longer kept when it
// comes back.
func TestKeepFiringFor(t *testing.T) {
	b, err := promql.NewBench(promql.Input{Traffic: healthy()}, worlds()[:1])
	if err != nil {
		t.Fatal(err)
	}
	q, err := promql.Parse(`sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[1m])) > 1`)
	if err != nil {
		t.Fatal(err)
	}
	incident := probed()
	line, err := b.Timeline([]promql.Stage{{}, {From: 5 * time.Minute, Traffic: &incident}, {From: 10 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		hold, keep time.Duration
		want       string
	}{
		{0, 0, "......fffff......"},
		{2 * time.Minute, 0, "......ppfff......"},
		{2 * time.Minute, 3 * time.Minute, "......ppffffff..."},
		{8 * time.Minute, 3 * time.Minute, "......ppppp......"},
	} {
		states, err := line.Alert(q, tt.hold, tt.keep, 16*time.Minute, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var s strings.Builder
		for _, a := range states {
			s.WriteString(map[promql.AlertState]string{promql.Inactive: ".", promql.Pending: "p", promql.Firing: "f"}[a])
		}
		if s.String() != tt.want {
			t.Errorf("for %s, keep %s: %s, want %s", tt.hold, tt.keep, s.String(), tt.want)
		}
	}
}
