package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// schema is a JSON schema, draft 2020-12.
type schema map[string]any

// types is what the source says.
type types struct {
	decls map[string]*ast.TypeSpec
	docs  map[string]string
	// values are the constants of each string type, in the order of the source.
	values map[string][]string
	// kinds are the structs that embed TypeMeta, in the order of the files.
	kinds []string
}

// optional are fields that are written always and that decoding does not ask of people.
var optional = map[string]bool{"FreezeWindow.name": true}

// closed are strings that decoding checks against a list and that have no type of their own.
var closed = map[string][]string{
	"MigrationPolicy.routes": {"convert", "keep"},
	"MigrationPolicy.gitops": {"none", "argocd", "flux"},
	"WaypointPolicy.scope":   {"namespace", "service", "shared"},
}

func parse(dir string) (*types, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	t := &types{decls: map[string]*ast.TypeSpec{}, docs: map[string]string{}, values: map[string][]string{}}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				t.declare(g)
			}
		}
	}
	if len(t.kinds) == 0 {
		return nil, fmt.Errorf("%s holds no document", dir)
	}
	return t, nil
}

func (t *types) declare(g *ast.GenDecl) {
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			name := s.Name.Name
			t.decls[name] = s
			doc := s.Doc.Text()
			if doc == "" {
				doc = g.Doc.Text()
			}
			t.docs[name] = oneLine(doc)
			if st, ok := s.Type.(*ast.StructType); ok && len(st.Fields.List) > 0 && len(st.Fields.List[0].Names) == 0 {
				if id, ok := st.Fields.List[0].Type.(*ast.Ident); ok && id.Name == "TypeMeta" {
					t.kinds = append(t.kinds, name)
				}
			}
		case *ast.ValueSpec:
			id, ok := s.Type.(*ast.Ident)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, v := range s.Values {
				if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil {
						t.values[id.Name] = append(t.values[id.Name], text)
					}
				}
			}
		}
	}
}

// document is the schema of a kind with all that it refers to.
func (t *types) document(kind string) (schema, error) {
	defs := schema{}
	s, err := t.object(kind, defs)
	if err != nil {
		return nil, err
	}
	props := s["properties"].(schema)
	props["apiVersion"] = schema{"const": "ambientplan.dev/v1alpha1"}
	props["kind"] = schema{"const": kind}
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = "https://github.com/ambientplan/ambientplan/raw/main/schemas/v1alpha1/" + kind + ".json"
	s["title"] = kind
	s["$defs"] = defs
	return s, nil
}

// object is a struct. Decoding is strict, and so is the schema.
func (t *types) object(name string, defs schema) (schema, error) {
	st := t.decls[name].Type.(*ast.StructType)
	props := schema{}
	var required []string
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			return nil, fmt.Errorf("%s: a field without a json tag", name)
		}
		tag, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			return nil, err
		}
		words := strings.Split(reflect.StructTag(tag).Get("json"), ",")
		if slices.Contains(words, "inline") {
			inner, err := t.object(f.Type.(*ast.Ident).Name, defs)
			if err != nil {
				return nil, err
			}
			for k, v := range inner["properties"].(schema) {
				props[k] = v
			}
			if r, ok := inner["required"].([]string); ok {
				required = append(required, r...)
			}
			continue
		}
		key := words[0]
		if key == "-" {
			continue
		}
		s, err := t.value(f.Type, defs)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, key, err)
		}
		if list := closed[name+"."+key]; list != nil {
			s["enum"] = list
		}
		if doc := oneLine(f.Doc.Text()); doc != "" {
			s["description"] = doc
		}
		props[key] = s
		if !slices.Contains(words, "omitempty") && !slices.Contains(words, "omitzero") && !optional[name+"."+key] {
			required = append(required, key)
		}
	}
	s := schema{"type": "object", "properties": props, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	if t.docs[name] != "" {
		s["description"] = t.docs[name]
	}
	return s, nil
}

// value is the schema of a field's type. Lists and maps may be null, as they are when nothing is in them.
func (t *types) value(x ast.Expr, defs schema) (schema, error) {
	switch x := x.(type) {
	case *ast.StarExpr:
		return t.value(x.X, defs)
	case *ast.ArrayType:
		items, err := t.value(x.Elt, defs)
		return schema{"type": []string{"array", "null"}, "items": items}, err
	case *ast.MapType:
		values, err := t.value(x.Value, defs)
		return schema{"type": []string{"object", "null"}, "additionalProperties": values}, err
	case *ast.Ident:
		switch x.Name {
		case "string":
			return schema{"type": "string"}, nil
		case "bool":
			return schema{"type": "boolean"}, nil
		case "int", "int32", "int64", "uint32":
			return schema{"type": "integer"}, nil
		case "float64":
			return schema{"type": "number"}, nil
		case "any":
			return schema{}, nil
		}
		return t.named(x.Name, defs)
	}
	return nil, fmt.Errorf("no schema for a %T", x)
}

func (t *types) named(name string, defs schema) (schema, error) {
	d, ok := t.decls[name]
	if !ok {
		return nil, fmt.Errorf("type %s is not declared here", name)
	}
	ref := schema{"$ref": "#/$defs/" + name}
	if defs[name] != nil {
		return ref, nil
	}
	defs[name] = schema{} // the type may contain itself
	var s schema
	var err error
	if _, isStruct := d.Type.(*ast.StructType); isStruct {
		s, err = t.object(name, defs)
	} else {
		s, err = t.value(d.Type, defs)
		if v := t.values[name]; err == nil && v != nil {
			s["enum"] = v
		}
		if err == nil && t.docs[name] != "" {
			s["description"] = t.docs[name]
		}
	}
	defs[name] = s
	return ref, err
}

func oneLine(doc string) string { return strings.Join(strings.Fields(doc), " ") }
