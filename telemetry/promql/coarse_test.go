package promql_test

import (
	"testing"
	"time"

	"github.com/ambientplan/ambientplan/telemetry/promql"
)

// TestLongSubqueries: an average over a month is looked at in seconds and gives what the whole month gives, while
// functions that count steps are not cut short.
func TestLongSubqueries(t *testing.T) {
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, w[:2])
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ expr, want string }{
		{`avg_over_time((sum(rate(istio_requests_total{` + dst + `,response_code=~"5.."}[5m])) / sum(rate(istio_requests_total{` + dst + `}[5m])))[30d:5m])`, "0.1"},
		{`max_over_time(sum(rate(istio_requests_total{` + dst + `}[5m]))[6d: 1m] offset 1h)`, "100"},
		{`count_over_time(sum(rate(istio_requests_total{` + dst + `}[5m]))[2h:1m])`, "120"},
		{`avg_over_time(count_over_time(sum(rate(istio_requests_total{` + dst + `}[5m]))[1h:1m])[1h:10m])`, "60"},
	} {
		q, err := promql.Parse(tt.expr)
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		f := b.Judge(q, 0, 1)
		if f.Before.String() != tt.want || f.After.String() != tt.want {
			t.Errorf("%s: %s and %s, want %s: %s", tt.expr, f.Before, f.After, tt.want, f.Reason)
		}
		b.Rewrite(q)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %s", tt.expr, took)
		}
	}
}
