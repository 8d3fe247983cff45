package main

import (
	"testing"

	"github.com/ambientplan/ambientplan/internal/golden"
)

// TestUpToDate fails when a type of api changed and `go generate ./schemas` was not run.
func TestUpToDate(t *testing.T) {
	got, err := generate("../../api/v1alpha1")
	if err != nil {
		t.Fatal(err)
	}
	golden.Tree(t, "../../schemas/v1alpha1", got)
}
