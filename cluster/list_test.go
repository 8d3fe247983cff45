package cluster

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// What a real API server does is tested in test/e2e/live. Here is what a real one does
// only now and then.

// serve answers discovery for Pods and the rest with a function.
func serve(t *testing.T, rest http.HandlerFunc) *Client {
	t.Helper()
	return serveWith(t, Options{Backoff: time.Millisecond}, rest)
}

func serveWith(t *testing.T, o Options, answer http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api":
			fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/apis":
			fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"networking.istio.io","versions":[{"groupVersion":"networking.istio.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"networking.istio.io/v1","version":"v1"}}]}`)
		case "/api/v1":
			fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]},{"name":"bindings","kind":"Binding","namespaced":true,"verbs":["create"]}]}`)
		default:
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	c, err := newClient("test", &rest.Config{Host: s.URL}, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var podKind = api.KindInfo{Kind: "Pod", Resource: "pods"}

// TestRetryAfter: a request that is made again waits as long as the API server asks for.
func TestRetryAfter(t *testing.T) {
	var n atomic.Int32
	var waited atomic.Int64
	first := time.Now()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 1 {
			first = time.Now()
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":429,"reason":"TooManyRequests"}`)
			return
		}
		waited.Store(int64(time.Since(first)))
		fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a","uid":"1"}}]}`)
	})
	l, err := c.List(t.Context(), podKind, func(api.Content) error { return nil })
	if err != nil || l.State != api.Complete || l.Count != 1 || l.ResourceVersion != "7" {
		t.Fatalf("%+v, %v", l, err)
	}
	if d := time.Duration(waited.Load()); d < time.Second {
		t.Errorf("waited %s", d)
	}
}

// TestPartlyServed: a group of which discovery fails is not known, which is not absent.
func TestPartlyServed(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/apis/networking.istio.io") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		http.NotFound(w, r)
	})
	for _, tc := range []struct {
		kind api.KindInfo
		want api.CoverageState
	}{
		{api.KindInfo{Group: "networking.istio.io", Kind: "VirtualService"}, api.NotKnown},
		{api.KindInfo{Group: "security.istio.io", Kind: "AuthorizationPolicy"}, api.Absent},
		{api.KindInfo{Kind: "Binding"}, api.NotKnown}, // there, and not to be listed
	} {
		l, err := c.List(t.Context(), tc.kind, func(api.Content) error { t.Error("an object"); return nil })
		if err != nil || l.State != tc.want || l.Reason == "" {
			t.Errorf("%s: %+v, %v; want %s", tc.kind.Kind, l, err, tc.want)
		}
	}
}

// TestEachOnce: a list that begins anew hands over what it has not handed over, and an
// error of who takes the objects ends it.
func TestEachOnce(t *testing.T) {
	gone := false
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("continue") == "":
			fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1","continue":"more"},"items":[{"metadata":{"name":"a","uid":"1"}}]}`)
		case !gone:
			gone = true
			w.WriteHeader(http.StatusGone)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":410,"reason":"Expired"}`)
		default:
			fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"2"},"items":[{"metadata":{"name":"b","uid":"2"}}]}`)
		}
	}
	var got []string
	l, err := serve(t, answer).List(t.Context(), podKind, func(o api.Content) error {
		got = append(got, o["metadata"].(map[string]any)["name"].(string))
		return nil
	})
	if err != nil || l.State != api.Complete || strings.Join(got, " ") != "a b" {
		t.Errorf("%v, %+v, %v", got, l, err)
	}
	full := fmt.Errorf("full")
	if _, err := serve(t, answer).List(t.Context(), podKind, func(api.Content) error { return full }); err != full {
		t.Errorf("got %v", err)
	}
}

// TestSlim: what nobody reads is gone before an object is handed over, and what tells the
// data plane mode is there.
func TestSlim(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a","uid":"1","annotations":{"sidecar.istio.io/status":"{}"},"managedFields":[{"manager":"x"}]},
"spec":{"volumes":[{"name":"v"}],"containers":[{"name":"istio-proxy","image":"p","env":[{"name":"TOKEN","value":"hush"}],"ports":[{"containerPort":15090}]}]},"status":{"phase":"Running"}}]}`)
	})
	_, err := c.List(t.Context(), podKind, func(o api.Content) error {
		text := fmt.Sprint(o)
		for _, bad := range []string{"hush", "volumes", "managedFields"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s is still there: %s", bad, text)
			}
		}
		for _, good := range []string{"sidecar.istio.io/status", "istio-proxy", "15090", "Running", "kind:Pod"} {
			if !strings.Contains(text, good) {
				t.Errorf("%s is not there: %s", good, text)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
