package promql_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

func TestSameMinute(t *testing.T) {
	w := worlds()
	early := []series.State{w[0], w[1], w[2], w[4]}
	once := []series.State{w[0], w[4]}
	ratio := `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])) > 0.05`
	for _, tt := range []struct {
		name, expr, want string
		states           []series.State
		hold, keep       time.Duration
	}{
		{"a ratio forgets what was before the transition", ratio, "fires at the same minute in every state; up to 1 min off across a transition", early, 2 * time.Minute, 0},
		{"and is kept", ratio, "fires at the same minute in every state and across every transition", once, 2 * time.Minute, 10 * time.Minute},
		{"a rate dips for one window", `sum(rate(istio_requests_total{` + dst + `}[5m])) < 97`, "falsely while pods restart: sidecar to waypoint", once, 0, 0},
		{"which for: bears", `sum(rate(istio_requests_total{` + dst + `}[5m])) < 90`, "fires at the same minute in every state", once, 6 * time.Minute, 0},
		{"nothing makes it fire", `sum(rate(istio_requests_total{` + dst + `}[5m])) > 1e30`, "no modelled traffic makes it fire", once, 0, 0},
		{"always", `sum(rate(istio_requests_total{` + dst + `}[5m])) > -1`, "it fires with all modelled traffic", once, 0, 0},
		{"a month", `sum(rate(istio_requests_total{` + dst + `}[30d])) > 1000`, "it looks back 720h0m0s", once, 0, 0},
		{"absence", `absent(istio_requests_total{` + dst + `})`, "no alert on traffic", once, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := promql.NewBench(promql.Input{Traffic: healthy()}, tt.states)
			if err != nil {
				t.Fatal(err)
			}
			q, err := promql.Parse(tt.expr)
			if err != nil {
				t.Fatal(err)
			}
			r := b.Rewrite(q)
			if got := b.SameMinute(q, &r, tt.hold, tt.keep); !strings.Contains(got.String(), tt.want) {
				t.Errorf("got %s, want %s\n%+v\n%s", got, tt.want, got, r.Text)
			}
		})
	}
}

// TestSameMinuteAll: one trial in which it is not the same is enough, and one that says nothing is left out.
func TestSameMinuteAll(t *testing.T) {
	w := worlds()
	trial := func(expr string, states ...series.State) promql.Trial {
		b, err := promql.NewBench(promql.Input{Traffic: healthy()}, states)
		if err != nil {
			t.Fatal(err)
		}
		q, err := promql.Parse(expr)
		if err != nil {
			t.Fatal(err)
		}
		return promql.Trial{Bench: b, Query: q}
	}
	expr := `sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) > 1`
	good, bad := trial(expr, w[0], w[4]), trial(expr, w[0], w[3])
	blind := trial(`sum(rate(istio_requests_total{destination_service_name="elsewhere"}[5m])) > 1`, w[0], w[4])
	r := good.Bench.Rewrite(good.Query)
	for _, tt := range []struct {
		name   string
		trials []promql.Trial
		want   string
	}{
		{"good and blind", []promql.Trial{blind, good}, "fires at the same minute"},
		{"good and bad", []promql.Trial{good, bad}, "in L4 it fires never"},
		{"blind", []promql.Trial{blind}, "selects none of the traffic"},
		{"none", nil, "selects none of the traffic"},
	} {
		if got := promql.SameMinuteAll(tt.trials, &r, time.Minute, 0); !strings.Contains(got.String(), tt.want) {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestNotTheSameMinute: the unchanged original, silent at the end of the plan, is not called the same.
func TestNotTheSameMinute(t *testing.T) {
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: healthy()}, []series.State{w[0], w[4]})
	if err != nil {
		t.Fatal(err)
	}
	q, err := promql.Parse(`sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) > 1`)
	if err != nil {
		t.Fatal(err)
	}
	l4 := []series.State{w[0], w[3]}
	unproved, err := promql.NewBench(promql.Input{Traffic: healthy()}, l4)
	if err != nil {
		t.Fatal(err)
	}
	r := unproved.Rewrite(q)
	if got := unproved.SameMinute(q, &r, 0, 0); got.Same || !strings.Contains(got.Why, "in L4 it fires never") {
		t.Errorf("%+v", got)
	}
	good := b.Rewrite(q)
	if got := b.SameMinute(q, &good, 0, 0); !got.Same {
		t.Errorf("%+v", got)
	}
}
