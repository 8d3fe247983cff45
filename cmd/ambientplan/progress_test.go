package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	s := &streams{errOut: &b, errTerminal: true}
	p := s.progress()
	p.stage("reading")
	if b.Len() > 0 {
		t.Errorf("shown before a second has passed: %q", b.String())
	}
	p.tooLong()
	p.stage("planning")
	p.end()
	p.tooLong() // a timer that fired too late
	p.stage("nothing")
	p.end()
	if d := cmp.Diff("\r\x1b[Kreading ...\r\x1b[Kplanning ...\r\x1b[K", b.String()); d != "" {
		t.Errorf("line on the terminal (-want +got):\n%s", d)
	}

	b.Reset()
	p = (&streams{errOut: &b}).progress()
	p.stage("reading")
	p.tooLong()
	p.end()
	if b.Len() > 0 {
		t.Errorf("written to a stderr that is no terminal: %q", b.String())
	}
}
