package main

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
)

// addEdges reads call graphs into the inventory. They count as declared: the
// file says that the calls happen, and nobody watched them.
func addEdges(s *streams, inv *api.Inventory, paths []string) error {
	for _, p := range slices.Compact(slices.Sorted(slices.Values(paths))) {
		r, name, err := s.open(p)
		if err != nil {
			return err
		}
		edges, unknowns, err := inventory.ReadEdges(name, r, api.Declared, inv)
		r.Close()
		if err != nil {
			return err
		}
		inv.Edges = append(inv.Edges, edges...)
		inv.Unknowns = append(inv.Unknowns, unknowns...)
	}
	slices.SortStableFunc(inv.Edges, compareEdges)
	slices.SortFunc(inv.Unknowns, api.Unknown.Compare)
	return nil
}

// compareEdges orders edges by their ends, then by how they are known.
func compareEdges(a, b api.Edge) int {
	return cmp.Or(
		a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(a.Port, b.Port),
		cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Provenance, b.Provenance),
		cmp.Compare(fmt.Sprint(a.Evidence), fmt.Sprint(b.Evidence)),
	)
}
