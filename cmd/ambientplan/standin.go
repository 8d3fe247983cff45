package main

import (
	"bytes"
	"errors"
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Stand-ins until render has documents: delete this file with them.

var errNoRenderer = errors.New("this build has no renderer for it yet")

func standInTable(p *api.MigrationPlan) []byte {
	var b bytes.Buffer
	for _, d := range p.Decisions {
		fmt.Fprintf(&b, "%-14s %s\n", d.Kind, printable(d.Subject.String()))
	}
	return b.Bytes()
}

func explainSubject(*streams, string, string) error { return internalErrorf("%w", errNoRenderer) }
