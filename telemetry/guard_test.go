package telemetry_test

import (
	"strings"
	"testing"
)

// A variable of the reporter mends queries on requests when it takes in the waypoint. A query on connections that shares
// it would count those of a TCP service's waypoint as well: it keeps the waypoint out, and stays what it was.
func TestConnectionsStayWhatTheyAreWhenTheirVariableTakesInTheWaypoint(t *testing.T) {
	t.Parallel()
	s := newShop(t, clientsFirst)
	services := s.state.Inventory().Services
	for i := range services {
		if services[i].Name == "reviews" {
			services[i].Ports[0].Protocol = "TCP"
		}
	}
	r := s.analyzed(t, map[string]string{"d.json": `{
  "title": "d", "schemaVersion": 39,
  "templating": {"list": [{
    "name": "reporter", "type": "custom", "query": "source,destination", "current": {"text": "destination", "value": "destination"},
    "options": [{"selected": false, "text": "source", "value": "source"}, {"selected": true, "text": "destination", "value": "destination"}]
  }]},
  "panels": [
    {"title": "requests", "targets": [{"expr": "sum(rate(istio_requests_total{reporter=~\"$reporter\",destination_service_name=\"orders\"}[5m]))"}]},
    {"title": "bytes", "targets": [{"expr": "sum(rate(istio_tcp_sent_bytes_total{reporter=~\"$reporter\",destination_service_name=\"reviews\"}[5m]))"}]}
  ]
}`})
	if len(r.Rewritten) != 1 {
		t.Fatalf("%d files were rewritten", len(r.Rewritten))
	}
	text := r.Rewritten[0].Data
	if !strings.Contains(text, `"value": "destination|waypoint"`) {
		t.Errorf("the variable does not take in the waypoint:\n%s", text)
	}
	if !strings.Contains(text, `istio_tcp_sent_bytes_total{reporter=~\"$reporter\",reporter!=\"waypoint\",destination_service_name`) {
		t.Errorf("connections are counted at the waypoint as well:\n%s", text)
	}
	if strings.Contains(text, `istio_requests_total{reporter=~\"$reporter\",reporter!=`) {
		t.Errorf("requests are kept from the waypoint:\n%s", text)
	}
}
