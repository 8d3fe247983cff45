package rules

import (
	"strings"
	"testing"

	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// TestRecogniseFilter holds patches as people write them, with what each does.
func TestRecogniseFilter(t *testing.T) {
	for value, want := range map[string]string{
		`{"name":"envoy.filters.http.local_ratelimit"}`: "local rate limiting",
		`{"name":"x","typed_config":{"@type":"type.googleapis.com/udpa.type.v1.TypedStruct","type_url":"type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"}}`: "local rate limiting",
		`{"name":"envoy.filters.http.ratelimit"}`:       "global rate limiting",
		`{"name":"envoy.filters.http.lua"}`:             "a Lua script",
		`{"name":"envoy.filters.http.ext_authz"}`:       "external authorization",
		`{"name":"envoy.filters.http.header_mutation"}`: "headers",
		`{"request_headers_to_add":[]}`:                 "headers",
		`{"name":"envoy.filters.http.compressor"}`:      "compression of responses",
		`{"name":"envoy.gzip","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.gzip.v3.Gzip"}}`: "compression of responses",
		`{"typed_config":{"access_log":[]}}`:                                      "access logging",
		`{"typed_config":{"tracing":{}}}`:                                         "tracing",
		`{"typed_config":{"common_http_protocol_options":{"idle_timeout":"1h"}}}`: "timeouts of connections",
		`{"dns_lookup_family":"V4_ONLY"}`:                                         "",
	} {
		spec, _, err := api.DecodeObject([]byte(`{"spec":{"configPatches":[{"patch":{"value":`+value+`}}]}}`), 1, false)
		if err != nil {
			t.Fatal(err)
		}
		found, rest := recogniseFilter(mesh.Typed[*networking.EnvoyFilter]{Object: &api.Object{Content: spec}}, []int{0, 7})
		var does []string
		for _, k := range found {
			does = append(does, k.does)
			if k.instead == "" {
				t.Errorf("%s has no alternative", k.does)
			}
		}
		if got := strings.Join(does, ", "); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
		if (len(rest) > 0) != (want == "") {
			t.Errorf("%s: rest %q", value, rest)
		}
	}
}
