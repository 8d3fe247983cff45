package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner"
	"github.com/ambientplan/ambientplan/planner/rewind"
)

// maxDriftNotes bounds how many changes are named on stderr.
const maxDriftNotes = 20

// follow takes what stands of the previous plan out of the inventory, so that the new
// plan goes on where the old one is. Without --previous the inventory is as it was.
func (o *planOptions) follow(s *streams, inv *api.Inventory) (*api.Inventory, planner.Agreed, error) {
	if o.previous == "" {
		return inv, planner.Agreed{}, nil
	}
	p, was, err := readFollowed(s, o.previous)
	if err != nil {
		return nil, planner.Agreed{}, err
	}
	res, err := rewind.Rewind(p, was, inv)
	switch {
	case errors.Is(err, rewind.ErrOtherMesh):
		return nil, planner.Agreed{}, usageErrorf("%s: %w", o.previous, err)
	case err != nil:
		return nil, planner.Agreed{}, err
	}
	s.notef("%s: %s", o.previous, standing(res))
	for i, d := range res.Drift {
		if i == maxDriftNotes {
			s.notef("and %d more; \"%s diff\" of the two plans says what comes of them", len(res.Drift)-i, s.name)
			break
		}
		s.notef("changed: %s %s", d.Object, d.Why)
	}
	return res.Inventory, planner.AgreedOf(p, res.Done, res.Begun), nil
}

// standing says where a mesh stands in a plan.
func standing(res *rewind.Result) string {
	where := "no step of it stands yet"
	if res.Done > 0 {
		at := res.Places[res.Done-1]
		where = fmt.Sprintf("the mesh stands after step %s of wave %d", at.Step, at.Wave)
	}
	if res.Partly {
		at := res.Places[res.Done]
		where += fmt.Sprintf(", and a part of step %s of wave %d is done", at.Step, at.Wave)
	}
	return where
}

// readFollowed reads a plan and the inventory that it was made from, which stands
// beside it.
func readFollowed(s *streams, path string) (*api.MigrationPlan, *api.Inventory, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "plan.yaml")
	}
	p, err := decodeFile(s, path, api.Decode[api.MigrationPlan])
	if err != nil {
		return nil, nil, err
	}
	beside := filepath.Join(filepath.Dir(path), "inventory.yaml")
	if _, err := os.Stat(beside); err != nil || path == "-" {
		return nil, nil, usageErrorf("there is no %s beside the plan; it says what the mesh was when the plan was made", beside)
	}
	was, err := decodeFile(s, beside, api.Decode[api.Inventory])
	if err != nil {
		return nil, nil, err
	}
	got, err := inputDigest(was, p.Calls)
	if err != nil {
		return nil, nil, internalErrorf("%w", err)
	}
	if got != p.InputDigest {
		return nil, nil, usageErrorf("%s is not what %s was made from", beside, path)
	}
	return p, was, nil
}
