// Package callgraph reads who calls whom from a real Prometheus server that scrapes the
// metrics of a mesh half way to ambient mode.
package callgraph

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/planner"
)

// binary is the variable that holds the path of Prometheus. `make e2e` sets it.
const binary = "PROMETHEUS"

// series are what the proxies of bookinfo report while reviews is ambient behind a
// waypoint and the rest has sidecars: each call by all who see it (facts 1.2 of the
// metrics model in telemetry/series).
func series() []string {
	call := func(reporter, source, sourceNS, principal, service, workload, code string) string {
		return fmt.Sprintf(`istio_requests_total{reporter=%q,source_workload=%q,source_workload_namespace=%q,source_principal=%q,destination_service="%s.bookinfo.svc.cluster.local",destination_service_name=%q,destination_service_namespace="bookinfo",destination_workload=%q,destination_workload_namespace="bookinfo",request_protocol="http",response_code=%q}`,
			reporter, source, sourceNS, principal, service, service, workload, code)
	}
	const sa = "spiffe://cluster.local/ns/bookinfo/sa/bookinfo-"
	return []string{
		// Sidecar to sidecar: both report.
		call("source", "productpage-v1", "bookinfo", sa+"productpage", "details", "details-v1", "200"),
		call("destination", "productpage-v1", "bookinfo", sa+"productpage", "details", "details-v1", "200"),
		// To the waypoint of reviews, and from there on.
		call("waypoint", "productpage-v1", "bookinfo", sa+"productpage", "reviews", "reviews-v2", "200"),
		call("destination", "waypoint", "bookinfo", "spiffe://cluster.local/ns/bookinfo/sa/waypoint", "reviews", "reviews-v2", "200"),
		// Ambient to sidecar.
		call("destination", "reviews-v2", "bookinfo", sa+"reviews", "ratings", "ratings-v1", "200"),
		call("destination", "reviews-v3", "bookinfo", sa+"reviews", "ratings", "ratings-v1", "403"),
		// A job that called once, before the first scrape: the counter never grows.
		"once " + call("destination", "once-29405700", "bookinfo", sa+"once", "details", "details-v1", "200"),
		// From outside of the mesh, in plaintext.
		call("destination", "unknown", "unknown", "unknown", "productpage", "productpage-v1", "200"),
	}
}

// start runs a Prometheus that scrapes the given series every second, their values
// growing, and returns its URL.
func start(t *testing.T) string {
	t.Helper()
	bin := os.Getenv(binary)
	if bin == "" {
		t.Skip(binary + " names no Prometheus: run `make e2e`")
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		v := n.Add(10)
		fmt.Fprintln(w, "# TYPE istio_requests_total counter")
		for _, s := range series() {
			if s, once := strings.CutPrefix(s, "once "); once {
				fmt.Fprintln(w, s, 1)
				continue
			}
			fmt.Fprintf(w, "%s %d\n", s, v)
		}
		fmt.Fprintln(w, "# TYPE istio_tcp_connections_opened_total counter")
		fmt.Fprintf(w, `istio_tcp_connections_opened_total{reporter="source",source_workload="ratings-v1",source_workload_namespace="bookinfo",destination_service="details.bookinfo.svc.cluster.local",destination_service_name="details",destination_service_namespace="bookinfo"} %d`+"\n", v)
		// ztunnel of the client reports connections to a waypoint with the Service, that of the server the waypoint as the client.
		fmt.Fprintf(w, `istio_tcp_connections_opened_total{reporter="source",request_protocol="tcp",source_workload="ratings-v1",source_workload_namespace="bookinfo",source_principal="spiffe://cluster.local/ns/bookinfo/sa/bookinfo-ratings",destination_service="reviews.bookinfo.svc.cluster.local",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_workload="waypoint",destination_workload_namespace="bookinfo"} %d`+"\n", v)
		fmt.Fprintf(w, `istio_tcp_connections_opened_total{reporter="destination",request_protocol="tcp",source_workload="waypoint",source_workload_namespace="bookinfo",source_principal="spiffe://cluster.local/ns/bookinfo/sa/waypoint",destination_service="reviews.bookinfo.svc.cluster.local",destination_service_name="reviews",destination_service_namespace="bookinfo",destination_workload="reviews-v2",destination_workload_namespace="bookinfo"} %d`+"\n", v)
	}))
	t.Cleanup(target.Close)
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- job_name: mesh\n  fallback_scrape_protocol: PrometheusText0.0.4\n  static_configs: [{targets: [%q]}]\n", strings.TrimPrefix(target.URL, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(bin, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return "http://" + address
}

// TestCallGraphFromPrometheus: exactly the calls are found, and what the metrics cannot
// tell is said.
func TestCallGraphFromPrometheus(t *testing.T) {
	url := start(t)
	inv, err := inventory.Read(t.Context(), inventory.Options{Paths: []string{"../../../examples/bookinfo/cluster"}})
	if err != nil {
		t.Fatal(err)
	}
	inv.Objects = append(inv.Objects, api.Object{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Namespace: "bookinfo", Name: "waypoint",
		Content: api.Content{"spec": map[string]any{"gatewayClassName": "istio-waypoint"}}})
	inv.Workloads = append(inv.Workloads, api.Workload{Group: "batch", Kind: "CronJob", Namespace: "bookinfo", Name: "once", ServiceAccount: "once"})
	want := []string{
		"Outside * -> Service bookinfo/productpage http passed=true refused=false",
		"CronJob bookinfo/once -> Service bookinfo/details http passed=true refused=false",
		"Deployment bookinfo/productpage-v1 -> Service bookinfo/details http passed=true refused=false",
		"Deployment bookinfo/productpage-v1 -> Service bookinfo/reviews http passed=true refused=false",
		"Deployment bookinfo/ratings-v1 -> Service bookinfo/details tcp passed=false refused=false",
		"Deployment bookinfo/ratings-v1 -> Service bookinfo/reviews tcp passed=false refused=false",
		"Deployment bookinfo/reviews-v2 -> Service bookinfo/ratings http passed=true refused=false",
		"Deployment bookinfo/reviews-v3 -> Service bookinfo/ratings http passed=false refused=true",
	}
	var edges []api.Edge
	var unknowns []api.Unknown
	var got []string
	for range 40 {
		time.Sleep(time.Second)
		edges, unknowns, err = inventory.ReadMetrics(t.Context(), inventory.MetricsOptions{URL: url, Window: time.Hour}, inv)
		if err != nil {
			continue // it has not started yet
		}
		got = nil
		for _, e := range edges {
			got = append(got, fmt.Sprintf("%s -> %s %s passed=%v refused=%v", e.From, e.To, e.Protocol, e.Seen.Passed, e.Seen.Refused))
		}
		if cmp.Equal(want, got) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("calls (-want +got):\n%s", d)
	}
	if len(unknowns) != 1 || unknowns[0].ID != "short-metrics" {
		t.Errorf("unknowns %+v", unknowns)
	}
	inv.Edges = edges
	p, err := planner.Plan(t.Context(), planner.Input{Inventory: inv})
	if err != nil {
		t.Fatal(err)
	}
	// Services of which callers were seen are judged by these; ingress is one of them.
	if p.Proof.Told != 4 {
		t.Errorf("%d services are judged by observed calls, want 4", p.Proof.Told)
	}
	t.Logf("%d calls; %d gaps, told %d, open %v", len(edges), p.Proof.Gaps, p.Proof.Told, p.Proof.Open)
}
