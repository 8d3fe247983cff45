package mesh

import (
	"slices"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestStateIsInOrderAndLeavesTheDocumentAlone(t *testing.T) {
	inv := &api.Inventory{Namespaces: []api.Namespace{{Name: "b"}, {Name: "a"}}, Edges: []api.Edge{{Port: 2}, {Port: 1}}}
	s, _ := New(inv)
	var names []string
	for _, n := range s.Namespaces() {
		names = append(names, n.Name)
	}
	if !slices.Equal(names, []string{"a", "b"}) || s.Edges()[0].Port != 1 {
		t.Errorf("got namespaces %v, edges %v; want them in order", names, s.Edges())
	}
	if inv.Namespaces[0].Name != "b" || inv.Edges[0].Port != 2 {
		t.Error("New changed the inventory that it was given")
	}
}
