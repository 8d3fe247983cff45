package telemetry_test

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// A service that would be L4 only although an alert watches its requests is reported with its choices; one that gets a
// waypoint is not, nor is one that queries about the whole mesh cover by the way.
func TestAServiceThatLosesItsRequestMetricsIsReportedWithItsChoices(t *testing.T) {
	t.Parallel()
	s := newShop(t, clientsFirst)
	s.plan.Decisions = []api.Decision{
		{Namespace: "shop", Service: "prices", Kind: api.L4Only},
		{Namespace: "shop", Service: "reviews", Kind: api.Waypoint},
	}
	alert := func(service string) string {
		return `groups: [{name: a, rules: [{alert: Errors, expr: 'sum(rate(istio_requests_total{reporter="destination",destination_service_name=~"` + service + `",response_code=~"5.."}[5m])) > 5'}]}]`
	}
	for service, want := range map[string]int{"prices": 1, "reviews": 0, ".*": 0} {
		var lost []api.TelemetryFinding
		for _, f := range s.analyzed(t, map[string]string{"a.yaml": alert(service)}).Report.Findings {
			if f.Rule == "T13" {
				lost = append(lost, f)
			}
		}
		if len(lost) != want {
			t.Errorf("%s: %d findings, want %d: %+v", service, len(lost), want, lost)
			continue
		}
		for _, f := range lost {
			text := strings.Join(f.Choices, "; ")
			if f.Severity != api.Blocker || f.Subject.Name != "prices" || f.Before.Step != "enroll-servers" ||
				!strings.Contains(text, "l7-telemetry") || !strings.Contains(text, "application itself") || len(f.Queries) != 1 {
				t.Errorf("%+v", f)
			}
		}
	}
}
