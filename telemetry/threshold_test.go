package telemetry_test

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// A query that counted each call twice gives half of its number when it is mended. It is written only if the threshold
// is in it, as one number that is halved as well.
func TestAThresholdIsHalvedOrTheQueryIsNotWritten(t *testing.T) {
	t.Parallel()
	const twice = `sum(rate(istio_requests_total{destination_service_name="reviews"}[5m]))`
	for _, expr := range []string{
		twice + ` > 1000`,
		`1000 < ` + twice,
		twice + ` > 2 * 500`,
		twice + ` > (1000)`,
		twice + ` > bool 1000`,
		`(` + twice + ` > 1000) and on() (hour() > 8)`,
		`avg_over_time((` + twice + ` > 1000)[10m:1m])`,
		twice + ` > on() group_left() vector(1000)`,
		twice + ` > scalar(sum(up))`,
		`(` + twice + ` > 1000) * 2 > 1`,
		twice + ` > 1000 or ` + twice + ` > 2000`,
		twice + ` > 1000 < 2000`,
		`2000 > ` + twice + ` > 1000`,
		`-` + twice + ` < -1000`,
		`ceil(` + twice + `) > 1000`,
		twice + ` - 1000 > 0`,
	} {
		q := newShop(t, clientsFirst).one(t, "f.yaml", rule(expr))
		if q.Verdict == api.TelemetryUnaffected {
			t.Errorf("unaffected: %s", expr)
		}
		w := q.Rewrite
		if w == nil || !w.Written && !w.Proved {
			continue
		}
		halved := strings.Contains(w.Query, "500") && !strings.Contains(w.Query, "000") && !strings.Contains(w.Query, "2 *")
		if w.Written && !halved {
			t.Errorf("%s\nis written as\n%s", expr, w.Query)
		}
	}
}
