package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	promapi "github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// MetricsOptions say which Prometheus is asked, and for how long back.
type MetricsOptions struct {
	// URL of the API, as Grafana has it: without /api/v1.
	URL string
	// Window that is looked at, up to At.
	Window time.Duration
	At     time.Time
	// TokenFile holds a bearer token; "" is none.
	TokenFile string
	// Timeout of one query; 0 means two minutes.
	Timeout time.Duration
}

// MetricsError is a Prometheus that gave no usable answer.
type MetricsError struct {
	URL, Query string
	Err        error
}

// Error names the server and the query.
func (e *MetricsError) Error() string {
	if e.Query == "" {
		return fmt.Sprintf("prometheus %s: %v", e.URL, e.Err)
	}
	return fmt.Sprintf("prometheus %s: %v (asked: %s)", e.URL, e.Err, e.Query)
}

// Unwrap gives the cause.
func (e *MetricsError) Unwrap() error { return e.Err }

// The labels by which calls are told apart. The port is in no metric of Istio's.
const callLabels = "source_workload, source_workload_namespace, source_principal, destination_service, destination_service_name, destination_service_namespace, destination_workload, destination_workload_namespace, request_protocol"

// CallQueries are what a Prometheus is asked for a window, by what they are for. All
// reporters count: one call that client, server and waypoint report is one edge.
func CallQueries(window time.Duration) map[string]string {
	w := model.Duration(window).String()
	by := func(metric, matchers string) string {
		return fmt.Sprintf("sum by (%s) (increase(%s%s[%s])) > 0", callLabels, metric, matchers, w)
	}
	return map[string]string{
		"requests":    by("istio_requests_total", `{response_code!="403"}`),
		"refused":     by("istio_requests_total", `{response_code="403"}`),
		"connections": by("istio_tcp_connections_opened_total", ""),
		// An hour is the step of this one: a peak between two hours is missed.
		"peak":  fmt.Sprintf("max_over_time(sum by (%s) (rate(istio_requests_total[5m]))[%s:1h]) > 0", callLabels, w),
		"first": "min(timestamp(istio_requests_total offset " + w + "))",
	}
}

// ReadMetrics asks a Prometheus who called whom. Edges are Observed and carry the window;
// callers that no proxy identified are of kind Outside. What cannot be matched with the
// inventory is an unknown, and so is a Prometheus without any of Istio's metrics: it is
// not taken for a mesh in which nobody calls. A server that gives no usable answer is a
// *MetricsError.
func ReadMetrics(ctx context.Context, o MetricsOptions, inv *api.Inventory) ([]api.Edge, []api.Unknown, error) {
	client, err := metricsClient(o)
	if err != nil {
		return nil, nil, &MetricsError{URL: o.URL, Err: err}
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	r := &metricsReader{o: o, api: prometheus.NewAPI(client), ends: newEndpoints(inv), edges: map[callKey]*api.Edge{}, missing: map[string]*api.Unknown{}, waypoints: waypointsOf(inv)}
	queries := CallQueries(o.Window)
	seen := 0
	for _, what := range []string{"requests", "connections", "refused"} {
		n, err := r.calls(ctx, what, queries[what])
		if err != nil {
			return nil, nil, err
		}
		seen += n
	}
	if seen == 0 {
		r.unknown("no-metrics", api.Ref{Kind: "Prometheus", Name: hostOf(o.URL)}, fmt.Sprintf("Prometheus has no series of istio_requests_total and istio_tcp_connections_opened_total for the last %s", model.Duration(o.Window)),
			"nobody knows who calls whom", "see whether it scrapes the proxies, and with which labels; name another one, or give the call graph as CSV")
	}
	if _, err := r.calls(ctx, "peak", queries["peak"]); err != nil {
		r.unknown("no-peak", api.Ref{Kind: "Prometheus", Name: hostOf(o.URL)}, "the busiest hour of each call: "+err.Error(), "the size of waypoints", "ask for a shorter window with --prometheus-window")
	}
	r.retention(ctx, queries["first"])
	return r.result()
}

func metricsClient(o MetricsOptions) (promapi.Client, error) {
	rt := http.RoundTripper(http.DefaultTransport)
	if o.TokenFile != "" {
		b, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return nil, err
		}
		rt = bearer{strings.TrimSpace(string(b)), rt}
	}
	return promapi.NewClient(promapi.Config{Address: o.URL, RoundTripper: rt})
}

// bearer adds a token.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// hostOf is a URL without what may be secret in it.
func hostOf(url string) string {
	_, rest, ok := strings.Cut(url, "://")
	if !ok {
		rest = url
	}
	rest, _, _ = strings.Cut(rest, "/")
	if _, host, at := strings.Cut(rest, "@"); at {
		return host
	}
	return rest
}

type callKey struct {
	from, to api.Ref
	protocol string
}

type metricsReader struct {
	o         MetricsOptions
	api       prometheus.API
	ends      *endpoints
	edges     map[callKey]*api.Edge
	missing   map[string]*api.Unknown
	waypoints map[string]bool
}

// waypointsOf are the namespace/name of Gateways that are waypoints: they pass on the
// calls of others.
func waypointsOf(inv *api.Inventory) map[string]bool {
	out := map[string]bool{}
	for i := range inv.Objects {
		o := &inv.Objects[i]
		if o.Kind == "Gateway" && api.GroupOf(o.APIVersion) == "gateway.networking.k8s.io" && strings.HasPrefix(str(o.Content, "spec", "gatewayClassName"), "istio-waypoint") {
			out[o.Namespace+"/"+o.Name] = true
		}
	}
	return out
}

// calls makes edges of the series that a query gives, and counts these.
func (r *metricsReader) calls(ctx context.Context, what, query string) (int, error) {
	value, warnings, err := r.api.Query(ctx, query, r.o.At, prometheus.WithTimeout(r.o.Timeout))
	if err != nil {
		return 0, &MetricsError{URL: hostOf(r.o.URL), Query: query, Err: oneLine(err)}
	}
	for _, w := range warnings {
		r.unknown("metrics-warning", api.Ref{Kind: "Prometheus", Name: hostOf(r.o.URL)}, "Prometheus warns: "+w, "calls may be missing from the call graph", "see what Prometheus says of this query: "+query)
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return 0, &MetricsError{URL: hostOf(r.o.URL), Query: query, Err: fmt.Errorf("the answer is a %s, not a vector", value.Type())}
	}
	for _, s := range vector {
		r.sample(what, query, s)
	}
	return len(vector), nil
}

// oneLine shortens an error: servers in front of Prometheus answer with pages of HTML.
func oneLine(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = text[:300] + " ..."
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return errors.New(text)
}

// sample makes edges of one series.
func (r *metricsReader) sample(what, query string, s *model.Sample) {
	label := func(name string) string { return string(s.Metric[model.LabelName(name)]) }
	named := func(v string) bool { return v != "" && v != "unknown" }
	to, ok := r.server(label, named)
	if !ok {
		return
	}
	protocol := label("request_protocol")
	if what == "connections" {
		protocol = cmp.Or(protocol, "tcp")
	}
	for _, from := range r.clients(label, named) {
		k := callKey{from, to, protocol}
		e := r.edges[k]
		if e == nil {
			if what == "peak" {
				continue // a rate without a call in the window: extrapolated
			}
			e = &api.Edge{From: from, To: to, Protocol: protocol, Provenance: api.Observed,
				Seen:     &api.Seen{From: r.o.At.Add(-r.o.Window).UTC().Format(time.RFC3339), Until: r.o.At.UTC().Format(time.RFC3339), Refused: what == "refused"},
				Evidence: []api.Evidence{{Object: to, Path: "prometheus " + hostOf(r.o.URL), Value: query, Source: hostOf(r.o.URL)}}}
			r.edges[k] = e
		}
		switch what {
		case "peak":
			e.Rate = max(e.Rate, float64(s.Value))
		case "requests", "connections":
			e.Seen.Refused = false
		}
	}
}

// server finds what was called.
func (r *metricsReader) server(label func(string) string, named func(string) bool) (api.Ref, bool) {
	ns, name, host := label("destination_service_namespace"), label("destination_service_name"), label("destination_service")
	for _, try := range []string{name, host} {
		if !named(try) {
			continue
		}
		if to, ok := r.ends.server(ns, try); ok {
			return to, true
		}
	}
	if parts := strings.SplitN(host, ".", 4); len(parts) > 2 && parts[2] == "svc" {
		if to, ok := r.ends.server(parts[1], parts[0]); ok {
			return to, true
		}
	}
	what := host
	if !named(what) {
		what = name // "PassthroughCluster", or what else a proxy calls it
	}
	if !named(what) {
		if w := label("destination_workload"); named(w) {
			what = fmt.Sprintf("pods of %s/%s by their address", label("destination_workload_namespace"), w)
		} else {
			what = "a destination that no proxy identified"
		}
	}
	r.unknown("unmatched-call", api.Ref{Kind: "Service", Namespace: plainName(ns), Name: plainName(name)}, "metrics show calls to "+what+", which is no Service or ServiceEntry of the inventory",
		"these calls are in no order and no proof", "see who calls it; add a ServiceEntry or take a newer inventory where it belongs to the mesh")
	return api.Ref{}, false
}

// plainName drops what is no name of Kubernetes.
func plainName(s string) string {
	if !isName(s) {
		return ""
	}
	return s
}

// clients finds who called: the workload, else the service account of its certificate;
// neither is a caller from outside of the mesh. A waypoint passes on the calls of others,
// which it reports itself.
func (r *metricsReader) clients(label func(string) string, named func(string) bool) []api.Ref {
	ns, name := label("source_workload_namespace"), label("source_workload")
	if named(name) && named(ns) {
		if r.waypoints[ns+"/"+name] {
			return nil
		}
		if from := r.ends.clients(ns, name); len(from) > 0 {
			return from
		}
	}
	if _, id, ok := strings.Cut(label("source_principal"), "/ns/"); ok {
		if namespace, account, ok := strings.Cut(id, "/sa/"); ok && r.ends.accounts[namespace+"/"+account] {
			return []api.Ref{{Kind: "ServiceAccount", Namespace: namespace, Name: account}}
		}
	}
	if named(name) && named(ns) {
		r.unknown("unmatched-caller", api.Ref{Kind: "Workload", Namespace: plainName(ns), Name: plainName(name)}, fmt.Sprintf("metrics show calls of workload %s/%s, which is not in the inventory", ns, name),
			"the calls of a workload that is gone, or of another cluster, are judged as calls from outside of the mesh", "take a newer inventory, or a shorter window")
	}
	return []api.Ref{{Kind: KindOutside, Name: "*"}}
}

// KindOutside is the kind of a caller that no proxy identified.
const KindOutside = "Outside"

// retention says when Prometheus has no data as old as the window.
func (r *metricsReader) retention(ctx context.Context, query string) {
	value, _, err := r.api.Query(ctx, query, r.o.At, prometheus.WithTimeout(r.o.Timeout))
	if v, ok := value.(model.Vector); err == nil && ok && len(v) > 0 {
		return
	}
	r.unknown("short-metrics", api.Ref{Kind: "Prometheus", Name: hostOf(r.o.URL)}, fmt.Sprintf("Prometheus has no requests as old as %s: it may keep or scrape them for less", model.Duration(r.o.Window)),
		"calls that happen seldom (nightly and monthly jobs) may be missing, and a Service with known callers is judged by these alone", "add what is known to call it with --edges or in FeatureNeeds; consent by id when the time is long enough")
}

// unknown adds one, each subject and text once.
func (r *metricsReader) unknown(id string, subject api.Ref, what, could, action string) {
	if r.missing[what] != nil {
		return
	}
	r.missing[what] = &api.Unknown{ID: id, Subject: subject, What: what, Could: could, Action: action, Evidence: []api.Evidence{{Object: subject, Source: hostOf(r.o.URL)}}}
}

// result sorts what was found.
func (r *metricsReader) result() ([]api.Edge, []api.Unknown, error) {
	edges := make([]api.Edge, 0, len(r.edges))
	for _, e := range r.edges {
		edges = append(edges, *e)
	}
	slices.SortFunc(edges, compareEdges)
	unknowns := make([]api.Unknown, 0, len(r.missing))
	for _, u := range r.missing {
		unknowns = append(unknowns, *u)
	}
	return edges, sortUnknowns(unknowns), nil
}
