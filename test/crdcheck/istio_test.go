package crdcheck

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// TestIstioCases runs the cases with which Istio tests its own CRDs against an API server
// (pkg/config/validation/testdata/crds): objects that must be accepted, and objects that must be refused
// with the text in their extra field _err.
func TestIstioCases(t *testing.T) {
	files, err := filepath.Glob("../../testdata/corpora/istio-testdata/validation-crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := load(t)
	accepted, refused := 0, 0
	for _, f := range files {
		for i, u := range readDocuments(t, f) {
			want, _, err := unstructured.NestedString(u.Object, "_err")
			if err != nil {
				t.Fatal(err)
			}
			delete(u.Object, "_err")
			if u.GetNamespace() == "" {
				u.SetNamespace("default") // as kubectl would
			}
			got := c.Check(u)
			where := filepath.Base(f)
			switch {
			case want != "":
				refused++
				if !refusedFor(got, want) {
					t.Errorf("%s document %d (%s): got %v, want an error with %q", where, i, u.GetName(), got, want)
				}
			case strings.HasSuffix(f, "-valid.yaml"):
				accepted++
				if got != nil {
					t.Errorf("%s document %d: got %v, want valid", where, i, got)
				}
			}
			// A document of an -invalid file without _err is one that Istio could not refuse by CRD yet.
		}
	}
	if accepted < 30 || refused < 70 {
		t.Errorf("checked %d valid and %d invalid objects, want at least 30 and 70: did the corpus move?", accepted, refused)
	}
}

// valueType is what older API servers printed in place of the refused value.
var valueType = regexp.MustCompile(`Invalid value: "(object|integer)": `)

// refusedFor reports whether err gives the reason, which names a path, a text or both.
func refusedFor(err error, reason string) bool {
	if err == nil {
		return false
	}
	for _, part := range valueType.Split(reason, -1) {
		if !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}

func readDocuments(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var docs []*unstructured.Unstructured
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := d.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(u.Object) > 0 {
			docs = append(docs, u)
		}
	}
}
