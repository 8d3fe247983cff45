package render

import "fmt"

// PlanError is a plan that contradicts itself, so that it has no tree. Where names
// the wave and step.
type PlanError struct {
	Where string
	Msg   string
}

// Error is "wave 1, step prepare: ...".
func (e *PlanError) Error() string { return "the plan contradicts itself: " + e.Where + ": " + e.Msg }

func planErrorf(where, format string, args ...any) error {
	return &PlanError{Where: where, Msg: fmt.Sprintf(format, args...)}
}

// CheckError is a tree that does not say what its plan says. Path is the
// directory or file inside the tree.
type CheckError struct {
	Path string
	Msg  string
}

// Error is "waves/01-a/prepare: ...".
func (e *CheckError) Error() string { return e.Path + ": " + e.Msg }

// ForeignFileError is a file in the output directory that would be lost: Write did
// not write it, or somebody edited it since.
type ForeignFileError struct {
	Path   string
	Edited bool
}

// Error names the file and what to do.
func (e *ForeignFileError) Error() string {
	if e.Edited {
		return e.Path + " was changed since it was written: render into another directory and compare, or remove it first"
	}
	return e.Path + " was not written by ambientplan: choose an empty or a new directory"
}
