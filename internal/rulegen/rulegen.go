// Command rulegen writes what follows from the rules in planner/rules: the
// list of all rules and a page for each. It reads the source and not the
// compiled rules, so that it also works while the list is stale or broken.
//
// Run it with `go generate ./...`; planner/rules has the directive.
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// rule is a Rule value as its source says it.
type rule struct {
	variable string // "l08"
	file     string // "l08_deny_l7_noop.go"
	id       string
	title    string
	reads    []string
	why      string
	effect   string
	remedy   string
	sources  []string
	facts    []string
	since    string
}

// retiredFile lists, one a line, the ids that were given to rules that are no more.
const retiredFile = "retired.txt"

func main() {
	if err := run("."); err != nil {
		fmt.Fprintln(os.Stderr, "rulegen:", err)
		os.Exit(1)
	}
}

// run writes the generated files for the rules in dir, which is planner/rules.
func run(dir string) error {
	files, err := generate(dir)
	if err != nil {
		return err
	}
	docs := filepath.Join(dir, docsDir)
	if err := os.MkdirAll(docs, 0o755); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(docs, "*.md"))
	if err != nil {
		return err
	}
	for _, p := range old {
		if _, keep := files[filepath.Join(docsDir, filepath.Base(p))]; !keep {
			if err := os.Remove(p); err != nil {
				return err
			}
		}
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// docsDir is where pages go, relative to the folder of the rules.
var docsDir = filepath.Join("..", "..", "docs", "rules")

// generate returns the generated files by their path relative to dir.
func generate(dir string) (map[string][]byte, error) {
	rules, err := parse(dir)
	if err != nil {
		return nil, err
	}
	gone, err := retired(filepath.Join(dir, retiredFile))
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		if slices.Contains(gone, r.id) {
			return nil, fmt.Errorf("%s: id %s is retired (%s) and cannot be used again", r.file, r.id, retiredFile)
		}
	}
	list, err := registry(rules, gone)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{"all_gen.go": list, filepath.Join(docsDir, "README.md"): index(rules, gone)}
	for _, r := range rules {
		out[filepath.Join(docsDir, r.id+".md")] = page(r)
	}
	return out, nil
}

// parse finds every `var x = Rule{...}` of the package in dir, sorted by id.
func parse(dir string) ([]rule, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var rules []rule
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_gen.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				r, err := ruleOf(fset, s.(*ast.ValueSpec))
				if err != nil {
					return nil, err
				}
				if r != nil {
					r.file = filepath.Base(name)
					rules = append(rules, *r)
				}
			}
		}
	}
	slices.SortFunc(rules, func(a, b rule) int { return strings.Compare(a.id, b.id) })
	for i := 1; i < len(rules); i++ {
		if rules[i].id == rules[i-1].id {
			return nil, fmt.Errorf("%s and %s both have the id %s", rules[i-1].file, rules[i].file, rules[i].id)
		}
	}
	return rules, nil
}

// ruleOf reads one variable; nil when it is not a Rule literal.
func ruleOf(fset *token.FileSet, v *ast.ValueSpec) (*rule, error) {
	if len(v.Names) != 1 || len(v.Values) != 1 {
		return nil, nil
	}
	lit, ok := v.Values[0].(*ast.CompositeLit)
	if !ok {
		return nil, nil
	}
	if t, ok := lit.Type.(*ast.Ident); !ok || t.Name != "Rule" {
		return nil, nil
	}
	r := &rule{variable: v.Names[0].Name}
	var doc *ast.CompositeLit
	err := fields(fset, lit, map[string]any{
		"ID": &r.id, "Title": &r.title, "Doc": &doc, "Reads": &r.reads, "Check": nil,
	})
	if err == nil && doc != nil {
		err = fields(fset, doc, map[string]any{
			"Why": &r.why, "Effect": &r.effect, "Remedy": &r.remedy,
			"Sources": &r.sources, "Facts": &r.facts, "Since": &r.since,
		})
	}
	if err == nil && r.id == "" {
		err = fmt.Errorf("%s: rule %s has no ID", fset.Position(v.Pos()), r.variable)
	}
	return r, err
}

// fields reads the keyed fields of a literal into string, list and literal
// targets; a nil target skips its field.
func fields(fset *token.FileSet, lit *ast.CompositeLit, into map[string]any) error {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return fmt.Errorf("%s: a Rule needs field names", fset.Position(e.Pos()))
		}
		key := kv.Key.(*ast.Ident).Name
		target, known := into[key]
		if !known {
			return fmt.Errorf("%s: field %s is not known to rulegen", fset.Position(e.Pos()), key)
		}
		var err error
		switch t := target.(type) {
		case *string:
			*t, err = text(kv.Value)
		case *[]string:
			*t, err = list(kv.Value)
		case **ast.CompositeLit:
			if *t, ok = kv.Value.(*ast.CompositeLit); !ok {
				err = errors.New("is no literal")
			}
		}
		if err != nil {
			return fmt.Errorf("%s: field %s: %w", fset.Position(kv.Value.Pos()), key, err)
		}
	}
	return nil
}

// text evaluates string literals joined by +.
func text(e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		return strconv.Unquote(e.Value)
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			a, err := text(e.X)
			if err != nil {
				return "", err
			}
			b, err := text(e.Y)
			return a + b, err
		}
	case *ast.ParenExpr:
		return text(e.X)
	}
	return "", errors.New("is not built from string literals alone, so its page cannot be generated")
}

// list evaluates a literal of strings or of mesh.KindX names.
func list(e ast.Expr) ([]string, error) {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil, errors.New("is not a literal list")
	}
	var out []string
	for _, x := range lit.Elts {
		if s, ok := x.(*ast.SelectorExpr); ok {
			out = append(out, strings.TrimPrefix(s.Sel.Name, "Kind"))
			continue
		}
		s, err := text(x)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// retired reads the retired ids: one a line, "#" starts a comment.
func retired(name string) ([]string, error) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		line, _, _ := strings.Cut(sc.Text(), "#")
		if id := strings.TrimSpace(line); id != "" {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// registry is all_gen.go.
func registry(rules []rule, gone []string) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("// Code generated by internal/rulegen. DO NOT EDIT.\n\npackage rules\n\n")
	b.WriteString("// All lists every rule, sorted by id. It returns a new slice at each call.\nfunc All() []Rule {\n\treturn []Rule{\n")
	for _, r := range rules {
		fmt.Fprintf(&b, "\t\t%s,\n", r.variable)
	}
	b.WriteString("\t}\n}\n\n")
	b.WriteString("// Retired lists the ids of rules that are no more. They are never given again.\nfunc Retired() []string {\n\treturn []string{\n")
	for _, id := range gone {
		fmt.Fprintf(&b, "\t\t%q,\n", id)
	}
	b.WriteString("\t}\n}\n")
	return format.Source(b.Bytes())
}
