package inventory

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// A real Prometheus is asked in test/e2e/callgraph. Here is how the labels of series are
// read, and what servers answer that are none.

// asked answers each query by what it asks for: "requests", "refused", "connections",
// "peak" or "first".
func asked(t *testing.T, answer func(w http.ResponseWriter, what string)) MetricsOptions {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		for what, q := range CallQueries(time.Hour) {
			if q == r.Form.Get("query") {
				answer(w, what)
				return
			}
		}
		t.Errorf("asked %q", r.Form.Get("query"))
	}))
	t.Cleanup(s.Close)
	return MetricsOptions{URL: s.URL, Window: time.Hour, At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
}

func vector(samples ...string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + strings.Join(samples, ",") + `]}}`
}

// sample is a series from labels "k=v,k=v".
func sample(labels string, value float64) string {
	var out []string
	for _, l := range strings.Split(labels, ",") {
		k, v, _ := strings.Cut(l, "=")
		out = append(out, fmt.Sprintf("%q:%q", k, v))
	}
	return fmt.Sprintf(`{"metric":{%s},"value":[1764000000,"%g"]}`, strings.Join(out, ","), value)
}

// TestReadMetrics shows what each kind of series becomes.
func TestReadMetrics(t *testing.T) {
	inv := readString(t, "", callGraphMesh+"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: waypoint, namespace: shop}\nspec: {gatewayClassName: istio-waypoint}\n")
	const cart = "destination_service=cart.shop.svc.cluster.local,destination_service_name=cart,destination_service_namespace=shop"
	o := asked(t, func(w http.ResponseWriter, what string) {
		switch what {
		case "requests":
			fmt.Fprint(w, vector(
				sample("source_workload=web-v1,source_workload_namespace=shop,request_protocol=http,"+cart, 10),
				sample("source_workload=unknown,source_workload_namespace=unknown,source_principal=unknown,request_protocol=http,"+cart, 1),
				sample("source_workload=waypoint,source_workload_namespace=shop,request_protocol=http,"+cart, 9),
				sample("source_workload=unknown,source_principal=spiffe://cluster.local/ns/shop/sa/web-account,request_protocol=grpc,"+cart, 1),
				sample("source_workload=job,source_workload_namespace=gone,request_protocol=http,"+cart, 1),
				sample("source_workload=web-v2,source_workload_namespace=shop,request_protocol=http,destination_service=api.bank.example,destination_service_name=api.bank.example,destination_service_namespace=unknown", 3),
				sample("source_workload=web-v2,source_workload_namespace=shop,request_protocol=http,destination_service=unknown,destination_service_name=PassthroughCluster,destination_service_namespace=unknown", 3),
			))
		case "refused":
			fmt.Fprint(w, vector(
				sample("source_workload=web-v1,source_workload_namespace=shop,request_protocol=http,"+cart, 1),
				sample("source_workload=web-v2,source_workload_namespace=shop,request_protocol=http,"+cart, 4)))
		case "peak":
			fmt.Fprint(w, vector(sample("source_workload=web-v1,source_workload_namespace=shop,request_protocol=http,"+cart, 2.5)))
		default:
			fmt.Fprint(w, vector())
		}
	})
	edges, unknowns, err := ReadMetrics(t.Context(), o, inv)
	if err != nil {
		t.Fatal(err)
	}
	var got, missing []string
	for _, e := range edges {
		got = append(got, fmt.Sprintf("%s -> %s %s %g refused=%v", e.From, e.To, e.Protocol, e.Rate, e.Seen.Refused))
		if e.Seen.From != "2026-11-23T11:00:00Z" || e.Provenance != api.Observed || e.Evidence[0].Value == "" {
			t.Errorf("%+v", e)
		}
	}
	for _, u := range unknowns {
		missing = append(missing, u.ID+": "+u.What)
	}
	if d := cmp.Diff([]string{
		"Outside * -> Service shop/cart http 0 refused=false",
		"Deployment shop/web-v1 -> Service shop/cart http 2.5 refused=false",
		"Deployment shop/web-v2 -> Service shop/cart http 0 refused=true",
		"Deployment shop/web-v2 -> ServiceEntry shop/bank http 0 refused=false",
		"ServiceAccount shop/web-account -> Service shop/cart grpc 0 refused=false",
	}, got); d != "" {
		t.Errorf("edges (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{
		"short-metrics: Prometheus has no requests as old as 1h: it may keep or scrape them for less",
		"unmatched-caller: metrics show calls of workload gone/job, which is not in the inventory",
		"unmatched-call: metrics show calls to PassthroughCluster, which is no Service or ServiceEntry of the inventory",
	}, missing); d != "" {
		t.Errorf("unknowns (-want +got):\n%s", d)
	}
}

// TestReadMetricsErrors: an answer that is none is never an empty call graph.
func TestReadMetricsErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(w http.ResponseWriter, what string)
		// err is a part of the error, unknown the id of an unknown where there is none.
		err, unknown string
	}{
		{"no series", func(w http.ResponseWriter, _ string) { fmt.Fprint(w, vector()) }, "", "no-metrics"},
		{"a login page", func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>"+strings.Repeat("log in ", 1000))
		}, "bad_response", ""},
		{"too much", func(w http.ResponseWriter, _ string) {
			w.WriteHeader(422)
			fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory"}`)
		}, "too many samples", ""},
		{"only the peak is too much", func(w http.ResponseWriter, what string) {
			if what == "peak" {
				w.WriteHeader(503)
				fmt.Fprint(w, `{"status":"error","errorType":"timeout","error":"query timed out"}`)
				return
			}
			fmt.Fprint(w, vector())
		}, "", "no-peak"},
		{"not allowed", func(w http.ResponseWriter, _ string) { w.WriteHeader(403); fmt.Fprint(w, "no") }, "403", ""},
		{"a scalar", func(w http.ResponseWriter, _ string) {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`)
		}, "not a vector", ""},
		{"a warning", func(w http.ResponseWriter, _ string) {
			fmt.Fprint(w, `{"status":"success","warnings":["store-3 did not answer"],"data":{"resultType":"vector","result":[]}}`)
		}, "", "metrics-warning"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			edges, unknowns, err := ReadMetrics(t.Context(), asked(t, tc.answer), &api.Inventory{})
			var m *MetricsError
			if tc.err != "" {
				if !errors.As(err, &m) || !strings.Contains(err.Error(), tc.err) || len(err.Error()) > 1500 {
					t.Errorf("got %v", err)
				}
				return
			}
			found := false
			for _, u := range unknowns {
				found = found || u.ID == tc.unknown
			}
			if err != nil || !found || len(edges) > 0 {
				t.Errorf("%v, %v, %v", edges, unknowns, err)
			}
		})
	}
	if _, _, err := ReadMetrics(t.Context(), MetricsOptions{URL: "http://127.0.0.1:1", Window: time.Hour}, &api.Inventory{}); err == nil {
		t.Error("nobody listens, and there is no error")
	}
}

// TestToken: a token is sent, and stands in no error.
func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sent := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer s.Close()
	_, _, err := ReadMetrics(t.Context(), MetricsOptions{URL: strings.Replace(s.URL, "://", "://user:hush@", 1), Window: time.Hour, TokenFile: file}, &api.Inventory{})
	if sent != "Bearer hush" || err == nil || strings.Contains(err.Error(), "hush") {
		t.Errorf("sent %q, error %v", sent, err)
	}
}
