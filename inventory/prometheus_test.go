package inventory

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	inv := readString(t, "", callGraphMesh+`---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: nightly}}}}}}
`)
	const cart = ",request_protocol=http,destination_service=cart.shop.svc.cluster.local,destination_service_name=cart,destination_service_namespace=shop"
	const nowhere = ",request_protocol=http,destination_service=unknown,destination_service_name=unknown,destination_service_namespace=unknown"
	for _, tc := range []struct {
		name string
		// answers by what was asked; passed and refused are also requests.
		answers         map[string][]string
		edges, unknowns []string
	}{
		{"a workload", map[string][]string{
			askPassed: {sample("source_workload=web-v1,source_workload_namespace=shop"+cart, 1)},
		}, []string{"Deployment shop/web-v1 -> Service shop/cart http 0 passed"}, nil},
		{"its ReplicaSet, and the Job of a CronJob", map[string][]string{
			askRequests: {
				sample("source_workload=web-v2-7d4b9c6f5x,source_workload_namespace=shop"+cart, 1),
				sample("source_workload=nightly-29405700,source_workload_namespace=shop"+cart, 1),
			},
		}, []string{"CronJob shop/nightly -> Service shop/cart http 0", "Deployment shop/web-v2 -> Service shop/cart http 0"}, nil},
		{"refused, also by gRPC", map[string][]string{
			askRefused: {sample("source_workload=web-v1,source_workload_namespace=shop"+cart, 1)},
		}, []string{"Deployment shop/web-v1 -> Service shop/cart http 0 refused"}, nil},
		{"sometimes refused", map[string][]string{
			askPassed:  {sample("source_workload=web-v1,source_workload_namespace=shop"+cart, 9)},
			askRefused: {sample("source_workload=web-v1,source_workload_namespace=shop"+cart, 1)},
		}, []string{"Deployment shop/web-v1 -> Service shop/cart http 0 passed"}, nil},
		{"a rate: the sum of versions, the most that one reporter saw", map[string][]string{
			askPassed: {sample("source_workload=web-v1,source_workload_namespace=shop"+cart, 1)},
			askPeak: {
				sample("reporter=source,destination_workload=a,source_workload=web-v1,source_workload_namespace=shop"+cart, 2),
				sample("reporter=source,destination_workload=b,source_workload=web-v1,source_workload_namespace=shop"+cart, 3),
				sample("reporter=destination,destination_workload=a,source_workload=web-v1,source_workload_namespace=shop"+cart, 2.5),
			},
		}, []string{"Deployment shop/web-v1 -> Service shop/cart http 5 passed"}, nil},
		{"nobody that a proxy knows", map[string][]string{
			askPassed: {sample("source_workload=unknown,source_workload_namespace=unknown,source_principal=unknown"+cart, 1)},
		}, []string{"Outside * -> Service shop/cart http 0 passed"}, nil},
		{"only a certificate", map[string][]string{
			askPassed: {sample("source_workload=unknown,source_principal=spiffe://cluster.local/ns/shop/sa/web-account"+cart, 1)},
		}, []string{"ServiceAccount shop/web-account -> Service shop/cart http 0 passed"}, nil},
		{"a workload that is not in the inventory may be anybody", map[string][]string{
			askPassed: {sample("source_workload=job,source_workload_namespace=gone"+cart, 1)},
		}, []string{"Outside unmatched -> Service shop/cart http 0 passed"}, []string{"unmatched-caller: metrics show calls of workload gone/job, which is not in the inventory"}},
		{"a certificate of another cluster", map[string][]string{
			askPassed: {sample("source_workload=unknown,source_principal=spiffe://other/ns/a/sa/b"+cart, 1)},
		}, []string{"Outside unmatched -> Service shop/cart http 0 passed"}, []string{"unmatched-caller: metrics show calls of principal spiffe://other/ns/a/sa/b, which is not in the inventory"}},
		{"a waypoint passes on what it reports", map[string][]string{
			askPassed: {
				sample("reporter=waypoint,source_workload=web-v1,source_workload_namespace=shop"+cart, 1),
				sample("reporter=destination,source_workload=waypoint,source_workload_namespace=shop"+cart, 1),
			},
		}, []string{"Deployment shop/web-v1 -> Service shop/cart http 0 passed"}, nil},
		{"a waypoint that does not say for whom", map[string][]string{
			askPassed: {
				sample("reporter=destination,source_workload=web-v1,source_workload_namespace=shop"+cart, 1),
				sample("reporter=destination,source_workload=waypoint,source_workload_namespace=shop"+cart, 1),
			},
		}, []string{"Outside unmatched -> Service shop/cart  0", "Deployment shop/web-v1 -> Service shop/cart http 0 passed"},
			[]string{"silent-waypoint: a waypoint calls Service shop/cart, and no metric of the waypoint says for whom"}},
		{"a host of a ServiceEntry", map[string][]string{
			askPassed: {sample("source_workload=web-v2,source_workload_namespace=shop,request_protocol=http,destination_service=api.bank.example,destination_service_name=api.bank.example,destination_service_namespace=unknown", 3)},
		}, []string{"Deployment shop/web-v2 -> ServiceEntry shop/bank http 0 passed"}, nil},
		{"a connection, as ztunnel reports it", map[string][]string{
			askConnections: {sample("source_workload=web-v2,source_workload_namespace=shop"+strings.Replace(cart, "=http", "=tcp", 1), 3)},
		}, []string{"Deployment shop/web-v2 -> Service shop/cart tcp 0"}, nil},
		{"pods by their address, behind one Service", map[string][]string{
			askConnections: {sample("source_workload=web-v2,source_workload_namespace=shop,destination_workload=web-v1,destination_workload_namespace=shop"+nowhere, 3)},
		}, []string{"Deployment shop/web-v2 -> Service shop/web http 0"}, nil},
		{"out of the mesh", map[string][]string{
			askPassed: {sample("source_workload=web-v2,source_workload_namespace=shop,destination_service=unknown,destination_service_name=PassthroughCluster,destination_service_namespace=unknown", 3)},
		}, nil, []string{"unmatched-call: metrics show calls to PassthroughCluster, which is no Service or ServiceEntry of the inventory"}},
		{"refused by the client's own proxy", map[string][]string{
			askRequests: {sample("source_workload=web-v2,source_workload_namespace=shop,destination_service=unknown,destination_service_name=BlackHoleCluster,destination_service_namespace=unknown", 3)},
		}, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := asked(t, func(w http.ResponseWriter, what string) {
				switch what {
				case askRequests:
					fmt.Fprint(w, vector(slices.Concat(tc.answers[askRequests], tc.answers[askPassed], tc.answers[askRefused])...))
				case askFirst, askHours:
					fmt.Fprint(w, vector(sample("a=b", 1)))
				default:
					fmt.Fprint(w, vector(tc.answers[what]...))
				}
			})
			edges, unknowns, err := ReadMetrics(t.Context(), o, inv)
			if err != nil {
				t.Fatal(err)
			}
			var got, missing []string
			for _, e := range edges {
				line := fmt.Sprintf("%s -> %s %s %g", e.From, e.To, e.Protocol, e.Rate)
				if e.Seen.Passed {
					line += " passed"
				}
				if e.Seen.Refused {
					line += " refused"
				}
				got = append(got, line)
				if e.Seen.From != "2026-11-23T11:00:00Z" || e.Provenance != api.Observed || e.Evidence[0].Value == "" {
					t.Errorf("%+v", e)
				}
			}
			for _, u := range unknowns {
				missing = append(missing, u.ID+": "+u.What)
			}
			if d := cmp.Diff(tc.edges, got); d != "" {
				t.Errorf("edges (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tc.unknowns, missing); d != "" {
				t.Errorf("unknowns (-want +got):\n%s", d)
			}
		})
	}
}

// TestRetention: a Prometheus that keeps less than the window, or was down, says so.
func TestRetention(t *testing.T) {
	for _, tc := range []struct {
		name        string
		first, hour []string
		want        string
	}{
		{"all of it", []string{sample("a=b", 1)}, []string{sample("a=b", 24)}, ""},
		{"a part", nil, []string{sample("a=b", 3)}, "no requests as old as 1d, but some in 3 of the last 24 hours"},
		{"a gap", []string{sample("a=b", 1)}, []string{sample("a=b", 20)}, "metrics of only 20 of the last 24 hours"},
		{"it does not say", []string{sample("a=b", 1)}, nil, "does not say in how many"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				queries := CallQueries(24 * time.Hour)
				switch q := r.FormValue("query"); q {
				case queries[askTime]:
					fmt.Fprint(w, `{"status":"success","data":{"resultType":"scalar","result":[1795435200,"1795435200"]}}`)
				case queries[askFirst]:
					fmt.Fprint(w, vector(tc.first...))
				case queries[askHours]:
					fmt.Fprint(w, vector(tc.hour...))
				default:
					fmt.Fprint(w, vector(sample("source_workload=unknown,destination_service_name=nobody", 1)))
				}
			}))
			defer s.Close()
			_, unknowns, err := ReadMetrics(t.Context(), MetricsOptions{URL: s.URL, Window: 24 * time.Hour}, &api.Inventory{})
			got := ""
			for _, u := range unknowns {
				if u.ID == "short-metrics" {
					got = u.What
				}
			}
			if err != nil || (tc.want == "") != (got == "") || !strings.Contains(got, tc.want) {
				t.Errorf("%q, %v", got, err)
			}
		})
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
		{"a redirect", func(w http.ResponseWriter, _ string) {
			w.Header().Set("Location", "https://user:pw@login.example/?token=x")
			w.WriteHeader(http.StatusFound)
		}, `sends on to "login.example"`, ""},
		{"cut off", func(w http.ResponseWriter, _ string) {
			fmt.Fprint(w, `{"status":"success","data":{"resultType":"vector","result":[`)
		}, "bad_response", ""},
		{"a login page", func(w http.ResponseWriter, _ string) {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<html>"+strings.Repeat("log in ", 1000))
		}, "login page", ""},
		{"too much", func(w http.ResponseWriter, _ string) {
			w.WriteHeader(422)
			fmt.Fprint(w, `{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory"}`)
		}, "too many samples", ""},
		{"only the peak is too much", func(w http.ResponseWriter, what string) {
			if what == askPeak {
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

// FuzzSeries: whatever labels a metric has, a caller is an edge or an unknown, never lost
// when the Service is known.
func FuzzSeries(f *testing.F) {
	f.Add("web-v1", "shop", "spiffe://cluster.local/ns/shop/sa/web", "cart.shop.svc.cluster.local", "cart", "shop", "web-v1", "source")
	f.Add("unknown", "unknown", "unknown", "unknown", "PassthroughCluster", "unknown", "", "waypoint")
	f.Add("", "", "/ns//sa/", "...svc", "", "", "-", "")
	f.Add("nightly-29405700", "shop", "", "cart.shop.svc", "", "", "", "destination")
	inv := readString(f, "", callGraphMesh)
	f.Fuzz(func(t *testing.T, workload, ns, principal, host, name, serviceNS, destination, reporter string) {
		labels := map[string]string{"source_workload": workload, "source_workload_namespace": ns, "source_principal": principal, "destination_service": host,
			"destination_service_name": name, "destination_service_namespace": serviceNS, "destination_workload": destination, "destination_workload_namespace": ns, "reporter": reporter}
		c := newCalls("here", inv)
		c.series(askRequests, "query", func(l string) string { return labels[l] }, 1)
		edges, unknowns := c.result()
		if len(edges)+len(unknowns) == 0 && name != "BlackHoleCluster" {
			t.Errorf("%v is lost", labels)
		}
		for _, e := range edges {
			if e.To.Kind != "Service" && e.To.Kind != "ServiceEntry" || e.From.Name == "" || e.Seen == nil {
				t.Errorf("%+v", e)
			}
		}
	})
}
