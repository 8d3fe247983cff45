package source

import "testing"

// What an empty result does to an analysis of Argo Rollouts (observability.md Q67).
func TestWhatAnEmptyResultDoesToAnAnalysis(t *testing.T) {
	for _, tt := range []struct {
		success, failure string
		want             OnEmpty
	}{
		{"result[0] >= 0.95", "", EmptyFails},
		{"", "result[0] < 0.95", EmptyFails},
		{"len(result) == 0 || result[0] >= 0.95", "", EmptyPasses},
		{"(len(result) == 0) || (result[0] >= 0.95)", "", EmptyPasses},
		{"result[0] >= 0.95 || len( result ) < 1", "", EmptyPasses},
		{"len(result) > 0 ? result[0] >= 0.95 : true", "", EmptyPasses},
		{"default(result, 0) < 5", "", EmptyPasses},
		{"len(result) > 0 && result[0] >= 0.95", "", EmptyFails},
		{"(len(result) != 0) && result[0] >= 0.95", "", EmptyFails},
		{"len(result) > 0 && result[0] >= 0.95 || true", "", EmptyPasses},
		{"", "len(result) > 0 && result[0] > 0.05", EmptyPasses},
		{"all(result, # > 1)", "", EmptyUnknown},
		{"", "", EmptyUnknown},
	} {
		if got := emptyAnalysis(tt.success, tt.failure); got != tt.want {
			t.Errorf("success %q, failure %q: %d, want %d", tt.success, tt.failure, got, tt.want)
		}
	}
}

func TestFlaggersBuiltInChecksAreIstiosUnlessTheProviderSaysOtherwise(t *testing.T) {
	canary := func(provider string) string {
		return "apiVersion: flagger.app/v1beta1\nkind: Canary\nmetadata: {name: cart, namespace: shop}\nspec:\n  provider: " + provider +
			"\n  targetRef: {name: cart}\n  analysis: {metrics: [{name: request-success-rate}, {name: request-duration}]}\n"
	}
	for provider, want := range map[string]int{"": 2, "istio": 2, "gatewayapi:v1": 2, "nginx": 0, "linkerd": 0, "appmesh:v1beta2": 0} {
		if f := Parse("x.yaml", canary(provider), promQL); len(f.Queries) != want {
			t.Errorf("%q: %d queries, want %d", provider, len(f.Queries), want)
		}
	}
}
