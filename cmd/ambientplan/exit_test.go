package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
)

func TestReport(t *testing.T) {
	notFound := &fs.PathError{Op: "open", Path: "a.yaml", Err: fs.ErrNotExist}
	tests := []struct {
		name string
		err  error
		code int
		want string
	}{
		{"bad input", errors.New("a.yaml:3: broken"), 2, "error: a.yaml:3: broken\n"},
		{"usage", usageErrorf("say what"), 2, "error: say what\n"},
		{"file", notFound, 3, "error: open a.yaml: file does not exist\n"},
		{"file, wrapped", fmt.Errorf("needs: %w", notFound), 3, "error: needs: open a.yaml: file does not exist\n"},
		{"source", &inventory.ReadError{Path: "a", Err: errors.New("a: forbidden")}, 3, "error: a: forbidden\n"},
		{"interrupted", context.Canceled, 3, "error: interrupted\n"},
		{"our fault", internalErrorf("overlay %s", "x"), 3, "error: internal error, nothing was written: overlay x\n"},
		{"findings are no error of the run", findingsErrorf("the plan has 1 blocker"), 1, "the plan has 1 blocker\n"},
		{"several", errors.Join(errors.New("a:1: x"), errors.New("a:2: y")), 2, "error: a:1: x\nerror: a:2: y\n"},
		{"several with a code", &exitError{2, errors.Join(errors.New("a:1: x"), errors.New("a:2: y"))}, 2, "error: a:1: x\nerror: a:2: y\n"},
		{"a name that fakes a line and colours", errors.New("no Service \"a\nwrote out\x1b[31m\" here"), 2, "error: no Service \"a\\nwrote out\\x1b[31m\" here\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			if got := report(&b, tt.err); got != tt.code {
				t.Errorf("exit code of %v: got %d, want %d", tt.err, got, tt.code)
			}
			if d := cmp.Diff(tt.want, b.String()); d != "" {
				t.Errorf("stderr (-want +got):\n%s", d)
			}
		})
	}
}

func TestFailOn(t *testing.T) {
	finding := func(s api.Severity, by string) api.MigrationPlan {
		return api.MigrationPlan{Findings: []api.Finding{{ID: "X", Severity: s, ConsentedBy: by}}}
	}
	unknown := api.MigrationPlan{Unknowns: []api.Unknown{{ID: "X"}}}
	waived := api.MigrationPlan{Unknowns: []api.Unknown{{ID: "X", WaivedBy: "ann: seen"}}}
	held := api.MigrationPlan{Held: []api.HeldNamespace{{Name: "shop"}}}
	tests := []struct {
		name   string
		plan   api.MigrationPlan
		failOn []string // values of --fail-on that fail; the others pass
	}{
		{"nothing", api.MigrationPlan{}, nil},
		{"blocker", finding(api.Blocker, ""), []string{"blocked", "blocker", "warning", "info", "unknown"}},
		{"a severity that nobody set is the worst", finding(api.SeverityUnset, ""), []string{"blocked", "blocker", "warning", "info", "unknown"}},
		{"blocker with consent", finding(api.Blocker, "ann: accepted"), nil},
		{"held namespace", held, []string{"blocked", "blocker", "warning", "info", "unknown"}},
		{"warning", finding(api.Warning, ""), []string{"warning", "info"}},
		{"info", finding(api.Info, ""), []string{"info"}},
		{"unknown", unknown, []string{"unknown"}},
		{"unknown, waived", waived, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var failed []string
			for _, v := range []string{"blocked", "blocker", "warning", "info", "unknown", "never"} {
				f := failOnFlag{v}
				if err := f.check(); err != nil {
					t.Fatal(err)
				}
				if err := f.judge(&tt.plan); err != nil {
					if got := codeOf(err); got != exitFindings {
						t.Errorf("--fail-on %s: exit code %d, want %d", v, got, exitFindings)
					}
					failed = append(failed, v)
				}
			}
			if d := cmp.Diff(tt.failOn, failed); d != "" {
				t.Errorf("values of --fail-on that fail (-want +got):\n%s", d)
			}
		})
	}
}

func TestColor(t *testing.T) {
	tests := []struct {
		flag     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"auto", false, nil, false},
		{"auto", true, nil, true},
		{"auto", true, map[string]string{"NO_COLOR": "1"}, false},
		{"auto", true, map[string]string{"NO_COLOR": ""}, true},
		{"auto", true, map[string]string{"TERM": "dumb"}, false},
		{"always", false, map[string]string{"NO_COLOR": "1"}, true},
		{"never", true, nil, false},
	}
	for _, tt := range tests {
		s := &streams{terminal: tt.terminal, env: func(k string) (string, bool) { v, ok := tt.env[k]; return v, ok }}
		f := colorFlag{tt.flag}
		if got := f.on(s); got != tt.want {
			t.Errorf("--color %s, terminal %t, env %v: got %t, want %t", tt.flag, tt.terminal, tt.env, got, tt.want)
		}
	}
}

func TestWrap(t *testing.T) {
	if d := cmp.Diff("one two\nthree", wrap("one  two\nthree", 8)); d != "" {
		t.Errorf("wrap (-want +got):\n%s", d)
	}
	if d := cmp.Diff("äöü äöü", wrap("äöü äöü", 7)); d != "" {
		t.Errorf("wrap counts characters (-want +got):\n%s", d)
	}
}
