package render

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestExplainCalls: a call that was seen is shown with its time, at both of its ends.
func TestExplainCalls(t *testing.T) {
	p := &api.MigrationPlan{Calls: []api.Edge{
		{From: api.Ref{Kind: "Deployment", Namespace: "shop", Name: "web"}, To: api.Ref{Kind: "Service", Namespace: "pay", Name: "bank"}, Provenance: api.Observed,
			Seen: &api.Seen{From: "2026-11-16T12:00:00Z", Until: "2026-11-23T12:00:00Z", Refused: true}},
		{From: api.Ref{Kind: "Deployment", Namespace: "shop", Name: "web"}, To: api.Ref{Kind: "Service", Namespace: "pay", Name: "guessed"}, Provenance: api.Possible},
	}}
	for _, subject := range []string{"shop/web", "pay/bank"} {
		b, err := Explain(p, subject)
		out := strings.Join(strings.Fields(string(b)), " ")
		if err != nil || !strings.Contains(out, "Deployment shop/web to Service pay/bank, seen between 2026-11-16T12:00:00Z and 2026-11-23T12:00:00Z, and all were refused") || strings.Contains(out, "guessed") {
			t.Errorf("%s: %v\n%s", subject, err, b)
		}
	}
}
