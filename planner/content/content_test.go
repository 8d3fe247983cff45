package content

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSame shows what is the same in an object, and what only looks like it.
func TestSame(t *testing.T) {
	for _, tc := range []struct {
		name, x, y string
		// within: every field of x has its value in y.
		same, within bool
		differ       string
	}{
		{name: "numbers", x: "{a: 1}", y: "{a: 1}", same: true, within: true},
		{name: "a list that is empty", x: "{a: []}", y: "{}", same: true, within: true},
		{name: "null", x: "{a: null}", y: "{}", same: true, within: true},
		{name: "an empty selector selects everything", x: "{a: {}}", y: "{}", differ: "a"},
		{name: "a rule that matches everything", x: "{rules: [{}]}", y: "{rules: []}", differ: "rules"},
		{name: "more fields", x: "{a: 1}", y: "{a: 1, b: 2}", within: true, differ: "b"},
		{name: "more fields in a list", x: "{r: [{a: 1}]}", y: "{r: [{a: 1, b: 2}]}", within: true, differ: "r[0].b"},
		{name: "more rules", x: "{r: [{a: 1}]}", y: "{r: [{a: 1}, {a: 2}]}", differ: "r"},
		{name: "another value", x: `{l: {"istio.io/rev": a}}`, y: `{l: {"istio.io/rev": b}}`, differ: `l["istio.io/rev"]`},
		{name: "text and number", x: `{a: "1"}`, y: "{a: 1}", same: true, within: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x, y := read(t, tc.x), read(t, tc.y)
			if got := Same(x, y); got != tc.same || Same(y, x) != got {
				t.Errorf("same: %v", got)
			}
			if got := Within(x, y); got != tc.within {
				t.Errorf("within: %v", got)
			}
			if d := cmp.Diff(tc.differ, strings.Join(Differing(x, y, "", 9), " ")); d != "" {
				t.Error(d)
			}
		})
	}
}
