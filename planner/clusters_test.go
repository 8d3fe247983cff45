package planner

import (
	"errors"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// TestOneCluster: what is in two clusters is never planned as if it were in one.
func TestOneCluster(t *testing.T) {
	_, err := Plan(t.Context(), Input{Inventory: &api.Inventory{Clusters: []api.Cluster{{Name: "east"}, {Name: "west"}}}})
	if !errors.Is(err, ErrClusters) || !strings.Contains(err.Error(), "east, west") {
		t.Errorf("got %v", err)
	}
}
