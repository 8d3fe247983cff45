package telemetry_test

import (
	"context"
	"encoding/json"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// every kind of query once: on calls, on proxies, on absence, on what is nobody's.
func everyKind() []*source.File {
	var files []*source.File
	for path, text := range map[string]string{
		"a.yaml": rule(`sum(rate(istio_requests_total{reporter="destination",destination_service_name="reviews"}[5m])) > 10`),
		"b.yaml": rule(`absent(istio_requests_total{reporter="destination",destination_service_name="reviews"})`),
		"c.yaml": rule(`count(kube_pod_container_status_ready{container="istio-proxy"} == 1) < 3`),
		"d.yaml": rule(`up{job="x"} == 0`),
		"e.yaml": chain,
		"f.json": panel(`sum(rate(istio_tcp_sent_bytes_total{reporter="source"}[5m]))`),
		"g.yaml": record("workload:istio_requests_total", `sum without (instance, namespace, pod) (istio_requests_total)`),
	} {
		files = append(files, source.Parse(path, text, parsesAsPromQL))
	}
	slices.SortFunc(files, func(a, b *source.File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// Where nothing is known of calls, no query on calls is called unaffected, and nothing panics.
func TestOddMeshes(t *testing.T) {
	t.Parallel()
	workload := func(name string) api.Workload {
		return api.Workload{Group: "apps", Kind: "Deployment", Namespace: "shop", Name: name, PodLabels: map[string]string{"app": name}}
	}
	service := func(name string, ports ...api.ServicePort) api.Service {
		return api.Service{Namespace: "shop", Name: name, Selector: map[string]string{"app": name}, Ports: ports}
	}
	http := api.ServicePort{Name: "http", Port: 80, Transport: "TCP", Protocol: "HTTP"}
	two := []api.Workload{workload("web"), workload("reviews")}
	modes := func(all ...[]mesh.Mode) mesh.DataPlane { return mesh.DataPlane{Modes: all, During: all} }
	sidecar, ambient, gateway, both := []mesh.Mode{mesh.ModeSidecar}, []mesh.Mode{mesh.ModeAmbient}, []mesh.Mode{mesh.ModeGateway}, []mesh.Mode{mesh.ModeSidecar, mesh.ModeAmbient}
	for _, tt := range []struct {
		name   string
		inv    api.Inventory
		states []mesh.DataPlane
		// known says that a call is known after all.
		known bool
	}{
		{"nothing", api.Inventory{}, []mesh.DataPlane{modes()}, false},
		{"workloads without services", api.Inventory{Workloads: two}, []mesh.DataPlane{modes(sidecar, sidecar), modes(ambient, ambient)}, false},
		{"a service without ports", api.Inventory{Workloads: two, Services: []api.Service{service("reviews")}}, []mesh.DataPlane{modes(sidecar, sidecar), modes(ambient, ambient)}, false},
		{"a service without workloads", api.Inventory{Workloads: two, Services: []api.Service{service("nobody", http)}}, []mesh.DataPlane{modes(sidecar, sidecar), modes(ambient, ambient)}, false},
		{"a service of one port that is UDP", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", api.ServicePort{Port: 53, Transport: "UDP"})}}, []mesh.DataPlane{modes(sidecar, sidecar), modes(ambient, ambient)}, false},
		{"gateways only", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", http)}}, []mesh.DataPlane{modes(gateway, gateway), modes(gateway, gateway)}, false},
		{"partly injected today", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", http)}}, []mesh.DataPlane{modes(both, both), modes(ambient, ambient)}, false},
		{"modes that nobody knows", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", http)}}, []mesh.DataPlane{modes([]mesh.Mode{mesh.ModeUnknown}, sidecar), modes(ambient, ambient)}, false},
		{"partly moved in the end", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", http)}}, []mesh.DataPlane{modes(sidecar, sidecar), modes(both, both)}, true},
		{"a plan that moves nothing", api.Inventory{Workloads: two, Services: []api.Service{service("reviews", http)}}, []mesh.DataPlane{modes(sidecar, sidecar)}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			st, _ := mesh.New(&tt.inv)
			planes := &mesh.DataPlanes{States: tt.states}
			for i := range tt.inv.Workloads {
				planes.Workloads = append(planes.Workloads, tt.inv.Workloads[i].Ref())
			}
			r, err := telemetry.Analyze(context.Background(), telemetry.Input{State: st, Plan: &api.MigrationPlan{}, Planes: planes, Files: everyKind()})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range r.Report.Queries {
				switch {
				case q.Verdict == api.TelemetryUnset:
					t.Errorf("%s has no verdict", q.Source.File)
				case q.Source.File == "a.yaml" && q.Verdict == api.TelemetryUnaffected && !tt.known:
					t.Errorf("unaffected, although no call is known: %s", q.Why)
				case q.Source.File == "a.yaml" && len(tt.states) == 1 && tt.known && q.Verdict != api.TelemetryUnaffected:
					t.Errorf("%s, although nothing moves: %s", q.Verdict, q.Why)
				case q.Source.File == "a.yaml" && len(tt.states) == 2 && tt.known && q.Verdict != api.TelemetryGoesSilent:
					t.Errorf("%s: %s", q.Verdict, q.Why)
				}
			}
		})
	}
}

// The report is the same however files are ordered, and each time.
func TestTheOrderOfFilesIsNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t, mixed)
	var want []byte
	for i := range 2 {
		files := everyKind()
		rand.New(rand.NewSource(int64(i))).Shuffle(len(files), func(a, b int) { files[a], files[b] = files[b], files[a] })
		r, err := telemetry.Analyze(context.Background(), telemetry.Input{State: s.state, Plan: s.plan, Planes: s.planes, Files: files})
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.MarshalIndent(struct{ Report, Rewritten, Extra any }{r.Report, r.Rewritten, r.Extra}, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("another report (-first +now):\n%s", diff)
		}
	}
}
