package schemas

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestDocuments checks every document of the examples against its schema, and the same document with a field that is
// not in it, at the top and in the first object inside.
func TestDocuments(t *testing.T) {
	found := map[string]int{}
	for _, pattern := range []string{"../examples/*/*.yaml", "../examples/*/out/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: nothing found, %v", pattern, err)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var doc map[string]any
			if err := yaml.Unmarshal(b, &doc); err != nil {
				t.Fatal(err)
			}
			kind, _ := doc["kind"].(string)
			if doc["apiVersion"] != "ambientplan.dev/v1alpha1" {
				continue
			}
			text, ok := Of(kind)
			if !ok {
				t.Errorf("%s: %q has no schema", path, kind)
				continue
			}
			found[kind]++
			var s map[string]any
			if err := json.Unmarshal(text, &s); err != nil {
				t.Fatal(err)
			}
			c := checker{defs: s["$defs"].(map[string]any)}
			c.check("", s, doc)
			for _, e := range c.errs[:min(len(c.errs), 5)] {
				t.Errorf("%s: %s", path, e)
			}
			doc["unheardOf"] = true
			broken := checker{defs: c.defs}
			broken.check("", s, doc)
			if len(broken.errs) != len(c.errs)+1 {
				t.Errorf("%s: an unknown field is not refused", path)
			}
		}
	}
	for _, kind := range []string{"Inventory", "MigrationPlan", "FeatureNeeds"} {
		if found[kind] == 0 {
			t.Errorf("no %s was found", kind)
		}
	}
}

// checker knows the words that the generator writes, and fails on others.
type checker struct {
	defs map[string]any
	errs []string
}

func (c *checker) fail(at, format string, args ...any) {
	c.errs = append(c.errs, at+": "+fmt.Sprintf(format, args...))
}

func (c *checker) check(at string, s map[string]any, v any) {
	if ref, ok := s["$ref"].(string); ok {
		def, ok := c.defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		if !ok {
			c.fail(at, "%s leads nowhere", ref)
			return
		}
		c.check(at, def, v)
	}
	for word, arg := range s {
		switch word {
		case "$schema", "$id", "$ref", "$defs", "title", "description", "properties", "items":
		case "const":
			if v != arg {
				c.fail(at, "%v is not %v", v, arg)
			}
		case "enum":
			if !slices.Contains(arg.([]any), v) {
				c.fail(at, "%v is none of %v", v, arg)
			}
		case "type":
			if !slices.Contains(list(arg), typeOf(v)) && !(typeOf(v) == "integer" && arg == "number") {
				c.fail(at, "%T is not %v", v, arg)
			}
		case "required":
			for _, k := range arg.([]any) {
				if m, ok := v.(map[string]any); ok && m[k.(string)] == nil {
					if _, there := m[k.(string)]; !there {
						c.fail(at, "%v is missing", k)
					}
				}
			}
		case "additionalProperties":
		default:
			c.fail(at, "the checker does not know %q", word)
		}
	}
	c.inside(at, s, v)
}

func (c *checker) inside(at string, s map[string]any, v any) {
	props, _ := s["properties"].(map[string]any)
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if p, ok := props[k].(map[string]any); ok {
				c.check(at+"."+k, p, x)
				continue
			}
			switch rest := s["additionalProperties"].(type) {
			case bool:
				c.fail(at, "%q is unknown", k)
			case map[string]any:
				c.check(at+"."+k, rest, x)
			}
		}
	case []any:
		items, _ := s["items"].(map[string]any)
		for i, x := range v {
			c.check(fmt.Sprintf("%s[%d]", at, i), items, x)
		}
	}
}

func list(v any) []string {
	if s, ok := v.(string); ok {
		return []string{s}
	}
	var out []string
	for _, x := range v.([]any) {
		out = append(out, x.(string))
	}
	return out
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}
