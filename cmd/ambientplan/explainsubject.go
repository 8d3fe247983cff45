package main

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/render"
)

// explainSubject prints what a plan says about one subject.
func explainSubject(s *streams, plan, subject string) error {
	p, err := decodeFile(s, plan, api.Decode[api.MigrationPlan])
	if err != nil {
		return err
	}
	b, err := render.Explain(p, subject)
	if err != nil {
		return err
	}
	_, err = s.out.Write(b)
	return err
}
