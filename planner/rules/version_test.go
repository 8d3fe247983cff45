package rules

import "testing"

func TestParseVersion(t *testing.T) {
	cases := map[string]version{
		"1.31.0": {1, 31, 0}, "v1.4.1": {1, 4, 1}, "1.30": {1, 30, 0}, "1.29.2-distroless": {1, 29, 2}, "1.18.0+k3s1": {1, 18, 0},
	}
	for text, want := range cases {
		if got, ok := parseVersion(text); !ok || got != want {
			t.Errorf("%s: got %v, %v; want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "latest", "1", "1.x", "1.-2", "1.2.3.4", "99999999999999999999.1", "-1.2"} {
		if got, ok := parseVersion(text); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// TestBundleBounds holds the table of P-05: which bundle of the Gateway API each
// release of Istio watches a kind in.
func TestBundleBounds(t *testing.T) {
	cases := []struct {
		istio  version
		plural string
		bundle version
		reads  bool
	}{
		{version{1, 29, 3}, "tlsroutes", version{1, 4, 1}, true},
		{version{1, 29, 3}, "tlsroutes", version{1, 5, 0}, false},
		{version{1, 30, 0}, "tlsroutes", version{1, 4, 1}, false},
		{version{1, 30, 0}, "tlsroutes", version{1, 5, 0}, true},
		{version{1, 30, 2}, "tcproutes", version{1, 5, 0}, true},
		{version{1, 31, 0}, "tcproutes", version{1, 5, 0}, false},
		{version{1, 31, 0}, "tcproutes", version{1, 6, 0}, true},
		{version{1, 31, 0}, "grpcroutes", version{1, 0, 0}, false},
		{version{1, 29, 0}, "backendtlspolicies", version{1, 3, 0}, false},
		{version{1, 31, 0}, "httproutes", version{0, 5, 0}, true},
	}
	for _, c := range cases {
		lowest, below := bundleBounds(c.istio, c.plural)
		reads := !c.bundle.less(lowest) && (below == version{} || c.bundle.less(below))
		if reads != c.reads {
			t.Errorf("Istio %s, %s of bundle %s: read %v, want %v", c.istio, c.plural, c.bundle, reads, c.reads)
		}
	}
}
