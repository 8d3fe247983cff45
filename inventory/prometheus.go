package inventory

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// MetricsOptions say which Prometheus is asked, and for how long back.
type MetricsOptions struct {
	// URL of the API, as Grafana has it: without /api/v1.
	URL string
	// Window that is looked at, up to At; the zero At is the time of the server.
	Window time.Duration
	At     time.Time
	// TokenFile holds a bearer token, CAFile certificates that are trusted instead of the
	// system's; "" is none.
	TokenFile, CAFile string
	// Headers as "Name: value", for tenants of Mimir and the like.
	Headers []string
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

// The labels that name the two ends of a call. The port is in no metric of Istio's.
const (
	sourceLabels      = "reporter, source_workload, source_workload_namespace, source_principal"
	destinationLabels = "destination_service, destination_service_name, destination_service_namespace, destination_workload, destination_workload_namespace"
)

// What is asked for, by its name in CallQueries.
const (
	askPassed      = "passed"
	askRefused     = "refused"
	askRequests    = "requests"
	askConnections = "connections"
	askPeak        = "peak"
	askFirst       = "first"
	askHours       = "hours"
	askTime        = "time"
)

// CallQueries are what a Prometheus is asked for a window, by what they are for. All
// reporters count: one call that client, server and waypoint report is one edge. That a
// series was there is enough: the increase of a counter that began at 1 is 0, so that a
// job which called once would be lost.
func CallQueries(window time.Duration) map[string]string {
	w := model.Duration(window).String()
	by := func(metric, matchers string) string {
		return fmt.Sprintf("sum by (%s, %s, request_protocol) (last_over_time(%s%s[%s])) > 0", sourceLabels, destinationLabels, metric, matchers, w)
	}
	return map[string]string{
		askRequests: by("istio_requests_total", ""),
		// What an application or a proxy answered to a request that it let in. gRPC is answered with 200 in any case.
		askPassed:      by("istio_requests_total", `{response_code=~"[23]..",grpc_response_status=~"0?"}`),
		askRefused:     by("istio_requests_total", `{response_code="403"}`) + " or " + by("istio_requests_total", `{grpc_response_status="7"}`),
		askConnections: by("istio_tcp_connections_opened_total", ""),
		// An hour is the step of this one: a peak between two hours is missed.
		askPeak:  fmt.Sprintf("max_over_time(sum by (%s, %s, request_protocol) (rate(istio_requests_total[5m]))[%s:1h]) > 0", sourceLabels, destinationLabels, w),
		askFirst: fmt.Sprintf("count(istio_requests_total offset %s) or count(istio_tcp_connections_opened_total offset %s)", w, w),
		askHours: fmt.Sprintf("count_over_time((count(istio_requests_total) or count(istio_tcp_connections_opened_total))[%s:1h])", w),
		askTime:  "time()",
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
		return nil, nil, &MetricsError{URL: hostOf(o.URL), Err: err}
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	r := &metricsReader{o: o, host: hostOf(o.URL), api: prometheus.NewAPI(client), calls: newCalls(hostOf(o.URL), inv)}
	queries := CallQueries(o.Window)
	if o.At.IsZero() {
		if r.o.At, err = r.now(ctx, queries[askTime]); err != nil {
			return nil, nil, err
		}
	}
	r.calls.seen = api.Seen{From: r.o.At.Add(-o.Window).UTC().Format(time.RFC3339), Until: r.o.At.UTC().Format(time.RFC3339)}
	seen := 0
	for _, what := range []string{askRequests, askConnections, askPassed, askRefused} {
		n, err := r.ask(ctx, what, queries[what])
		if err != nil {
			return nil, nil, err
		}
		seen += n
	}
	if seen == 0 {
		r.calls.unknown("no-metrics", r.ref(), fmt.Sprintf("Prometheus has no series of istio_requests_total and istio_tcp_connections_opened_total for the last %s", model.Duration(o.Window)),
			"nobody knows who calls whom", "see whether it scrapes the proxies, and with which labels; name another one, or give the call graph as CSV")
	}
	if _, err := r.ask(ctx, askPeak, queries[askPeak]); err != nil {
		if ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
		r.calls.unknown("no-peak", r.ref(), "the busiest hour of each call: "+err.Error(), "the size of waypoints", "ask for a shorter window with --prometheus-window")
	}
	if seen > 0 {
		r.retention(ctx, queries)
	}
	edges, unknowns := r.calls.result()
	return edges, unknowns, ctx.Err()
}

// hostOf is a URL without what may be secret in it.
func hostOf(address string) string {
	_, rest, ok := strings.Cut(address, "://")
	if !ok {
		rest = address
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest[strings.LastIndex(rest, "@")+1:]
}

type metricsReader struct {
	o     MetricsOptions
	host  string
	api   prometheus.API
	calls *calls
}

func (r *metricsReader) ref() api.Ref { return api.Ref{Kind: "Prometheus", Name: r.host} }

// query asks for a value at the end of the window.
func (r *metricsReader) query(ctx context.Context, query string) (model.Value, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout+10*time.Second)
	defer cancel()
	value, warnings, err := r.api.Query(ctx, query, r.o.At, prometheus.WithTimeout(r.o.Timeout))
	if err != nil {
		return nil, &MetricsError{URL: r.host, Query: query, Err: oneLine(err)}
	}
	for _, w := range warnings {
		r.calls.unknown("metrics-warning", r.ref(), "Prometheus warns: "+w, "calls may be missing from the call graph", "see what Prometheus says of this query: "+query)
	}
	return value, nil
}

// now is the time of the server: samples carry it, and the clock here may go wrong.
func (r *metricsReader) now(ctx context.Context, query string) (time.Time, error) {
	value, err := r.query(ctx, query)
	if err != nil {
		return time.Time{}, err
	}
	s, ok := value.(*model.Scalar)
	if !ok {
		return time.Time{}, &MetricsError{URL: r.host, Query: query, Err: fmt.Errorf("the answer is a %s, not a scalar", value.Type())}
	}
	return s.Timestamp.Time(), nil
}

// ask makes edges of the series that a query gives, and counts these.
func (r *metricsReader) ask(ctx context.Context, what, query string) (int, error) {
	value, err := r.query(ctx, query)
	if err != nil {
		return 0, err
	}
	vector, ok := value.(model.Vector)
	if !ok {
		return 0, &MetricsError{URL: r.host, Query: query, Err: fmt.Errorf("the answer is a %s, not a vector", value.Type())}
	}
	for _, s := range vector {
		r.calls.series(what, query, func(name string) string { return string(s.Metric[model.LabelName(name)]) }, float64(s.Value))
	}
	return len(vector), nil
}

// oneLine shortens an error: servers in front of Prometheus answer with pages of HTML.
func oneLine(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + " ..."
	}
	return errors.New(text)
}

// retention says when Prometheus has no data as old as the window, or gaps in it. What
// cannot be asked is said as well.
func (r *metricsReader) retention(ctx context.Context, queries map[string]string) {
	const could = "calls that happen seldom (nightly and monthly jobs) may be missing, and a Service with known callers is judged by these alone"
	const action = "add what is known to call it with --edges or in FeatureNeeds; consent by id when the time is long enough"
	hours := -1
	if value, err := r.query(ctx, queries[askHours]); err == nil {
		if v, ok := value.(model.Vector); ok && len(v) == 1 {
			hours = int(v[0].Value)
		}
	}
	old := false
	if value, err := r.query(ctx, queries[askFirst]); err == nil {
		v, ok := value.(model.Vector)
		old = ok && len(v) > 0
	}
	window, all := model.Duration(r.o.Window), int(r.o.Window/time.Hour)
	switch {
	case !old && hours >= 0:
		r.calls.unknown("short-metrics", r.ref(), fmt.Sprintf("Prometheus has no requests as old as %s, but some in %d of the last %d hours: it may keep or scrape them for less", window, hours, all), could, action)
	case !old:
		r.calls.unknown("short-metrics", r.ref(), fmt.Sprintf("Prometheus has no requests as old as %s: it may keep or scrape them for less", window), could, action)
	case hours < 0:
		r.calls.unknown("short-metrics", r.ref(), fmt.Sprintf("Prometheus does not say in how many of the last %d hours it had metrics", all), could, action)
	case hours < all-1:
		r.calls.unknown("short-metrics", r.ref(), fmt.Sprintf("Prometheus has metrics of only %d of the last %d hours", hours, all), could, action)
	}
}
