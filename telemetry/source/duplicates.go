package source

import (
	"fmt"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// identity is a uid that a file gives to something.
type identity struct {
	uid, what string
	line      int
}

// begins notes that a whole dashboard is read, and its uid for Duplicates.
func (b *board) begins(n *span.Node) {
	b.defines = true
	if b.object.UID != "" {
		line, _ := b.r.position(n.At)
		b.r.file.identities = append(b.r.file.identities, identity{b.object.UID, "dashboard", line})
	}
}

// Duplicates notes each uid that several dashboards, or several alerts, of the files have: Grafana keeps one of them,
// and an edit of the other one has no effect. Notes are in the order of the files.
func Duplicates(files []*File) []Note {
	type place struct {
		path string
		line int
	}
	first := map[[2]string]place{}
	var out []Note
	for _, f := range files {
		for _, i := range f.identities {
			key := [2]string{i.what, i.uid}
			p, twice := first[key]
			if !twice {
				first[key] = place{f.Path, i.line}
				continue
			}
			out = append(out, Note{
				File: f.Path, Line: i.line, Column: 1, Object: Object{UID: i.uid}, Kind: Suspicious,
				Text: fmt.Sprintf("the %s has the uid %s, which %s:%d has as well: Grafana keeps one of them", i.what, i.uid, p.path, p.line),
			})
		}
	}
	return out
}
