package telemetry

import (
	"testing"

	"github.com/ambientplan/ambientplan/telemetry/source"
)

// The monitor that is proposed must itself be one that fetches what it is for, each pod once.
func TestTheProposedMonitorFetchesWaypointsAndZtunnel(t *testing.T) {
	t.Parallel()
	text, err := encodeYAML(ambientMonitor("istio-system"))
	if err != nil {
		t.Fatal(err)
	}
	f := source.Parse("podmonitor.yaml", string(text), nil)
	if len(f.Scrapes) != 1 {
		t.Fatalf("%d scrapes in\n%s", len(f.Scrapes), text)
	}
	for name, p := range map[string]source.Pod{"waypoint": source.Waypoint("shop", "waypoint"), "ztunnel": source.Ztunnel("istio-system")} {
		targets, known := f.Scrapes[0].Targets(p)
		if !known || len(targets) != 1 || targets[0].Port != 15020 || targets[0].Path != "/stats/prometheus" {
			t.Errorf("%s: %+v, known %v", name, targets, known)
		}
	}
	app := source.Pod{Namespace: "shop", Name: "cart-0", Labels: map[string]string{"app": "cart"}, Containers: []source.Container{{Name: "cart", Ports: []source.Port{{Name: "http", Number: 15020}}}}}
	if targets, _ := f.Scrapes[0].Targets(app); len(targets) != 0 {
		t.Errorf("it fetches an application: %+v", targets)
	}
}
