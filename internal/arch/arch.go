// Package arch checks that the repository is built as its plan says: who may import whom, and why not.
//
// The files are parsed in process. A test that asked `go list` about other packages would be cached by
// `go test` and pass after the rule is broken (golang/go issues 23799 and 30313); files that the test opens
// itself are part of its cache key.
//
// Only direct imports of the product's own files are checked. Tests may import what they need.
package arch

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// A Violation is one place that breaks the plan.
type Violation struct {
	File string // slash-separated, relative to the root of the repository
	Line int    // 1-based; 0 when the whole file is meant
	Text string // what is wrong, and why it is forbidden
}

func (v Violation) String() string {
	if v.Line == 0 {
		return fmt.Sprintf("%s: %s", v.File, v.Text)
	}
	return fmt.Sprintf("%s:%d: %s", v.File, v.Line, v.Text)
}

// Check walks the repository in fsys and returns what breaks its plan, sorted by place. It leaves out what the
// go command would (testdata, names that start with a dot or an underscore), modules of their own and other
// worktrees. Packages of the plan that are not there yet are fine. The error is of reading or parsing.
func Check(fsys fs.FS) ([]Violation, error) {
	var violations []Violation
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && skipDir(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		vs, err := checkFile(fsys, name)
		violations = append(violations, vs...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("arch: %w", err)
	}
	slices.SortFunc(violations, func(a, b Violation) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
	return violations, nil
}

func skipDir(fsys fs.FS, name string) bool {
	base := path.Base(name)
	if base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	for _, marker := range []string{"go.mod", ".git"} {
		if _, err := fs.Stat(fsys, path.Join(name, marker)); err == nil {
			return true
		}
	}
	return false
}

func checkFile(fsys fs.FS, name string) ([]Violation, error) {
	src, err := fs.ReadFile(fsys, name)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	c := &checker{fset: fset, file: name, pkg: path.Dir(name)}
	c.names(f)
	c.inits(f)
	if strings.HasSuffix(name, "_test.go") {
		return c.violations, nil
	}
	if !ast.IsGenerated(f) {
		c.length(src)
	}
	c.imports(f)
	c.calls(f)
	return c.violations, nil
}

// checker collects the violations of one file.
type checker struct {
	fset       *token.FileSet
	file       string // path below the module
	pkg        string // the directory of file
	violations []Violation
}

func (c *checker) report(pos token.Pos, format string, args ...any) {
	v := Violation{File: c.file, Text: fmt.Sprintf(format, args...)}
	if pos.IsValid() {
		v.Line = c.fset.Position(pos).Line
	}
	c.violations = append(c.violations, v)
}

func (c *checker) names(f *ast.File) {
	dir := path.Base(c.pkg)
	pkg := strings.TrimSuffix(f.Name.Name, "_test")
	file := strings.TrimSuffix(strings.TrimSuffix(path.Base(c.file), ".go"), "_test")
	for _, n := range slices.Compact([]string{dir, pkg, file}) {
		if bannedNames[n] {
			c.report(f.Name.Pos(), "nothing is named %q: name it by what it does", n)
		}
	}
}

func (c *checker) inits(f *ast.File) {
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			c.report(fn.Pos(), "func init: what happens must happen where it can be seen; make the value explicitly")
		}
	}
}

func (c *checker) length(src []byte) {
	if n := bytes.Count(src, []byte("\n")); n > maxLines {
		c.report(token.NoPos, "%d lines, more than %d: is it one thing?", n, maxLines)
	}
}

func (c *checker) imports(f *ast.File) {
	own := owner(c.pkg)
	if own == "" {
		c.report(f.Name.Pos(), "package %s has no row in the import matrix: add one, with its reason (internal/arch/matrix.go)", c.pkg)
		return
	}
	r := matrix[own]
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			c.report(spec.Pos(), "import path %s: %v", spec.Path.Value, err)
			continue
		}
		ours, isOurs := strings.CutPrefix(imported, module+"/")
		switch {
		case imported == module || isOurs && !matchAny(r.may, ours) && owner(ours) != own:
			c.report(spec.Pos(), "%s may not import %s: %s", c.pkg, strings.TrimPrefix(imported, module+"/"), r.why)
		case !isOurs && matchAny(r.mayNot, imported):
			c.report(spec.Pos(), "%s may not import %s: %s", c.pkg, imported, r.why)
		}
	}
}

// calls reports each use of a banned function, under whatever name its package is imported; a dot import of
// such a package is reported as well, since uses could not be told apart then.
func (c *checker) calls(f *ast.File) {
	if matchAny(callersOfTheWorld, c.pkg) {
		return
	}
	local := map[string]string{} // name in this file -> import path
	for _, spec := range f.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // reported by imports
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." && bansFrom(imported) {
			c.report(spec.Pos(), "dot import of %s hides calls that are forbidden here", imported)
		}
		local[name] = imported
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok {
			call := local[x.Name] + "." + sel.Sel.Name
			if why, banned := bannedCalls[call]; banned {
				c.report(sel.Pos(), "%s: %s", call, why)
			}
		}
		return true
	})
}

// bansFrom reports whether a function of the package is banned.
func bansFrom(pkg string) bool {
	for call := range maps.Keys(bannedCalls) {
		if strings.HasPrefix(call, pkg+".") {
			return true
		}
	}
	return false
}

// owner returns the nearest of pkg and its parents that has a row, or "". Packages with the same owner are
// parts of one thing and may import each other.
func owner(pkg string) string {
	for p := pkg; p != "."; p = path.Dir(p) {
		if _, ok := matrix[p]; ok {
			return p
		}
	}
	return ""
}

func matchAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, pkg) })
}

// match reports whether pkg matches a pattern of the go command's kind: "p/..." is p and all below it.
func match(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == parent || strings.HasPrefix(pkg, parent+"/")
	}
	return pkg == pattern
}
