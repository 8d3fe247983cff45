// Command schemagen writes a JSON schema for each document of api/v1alpha1: fields and types from the structs,
// descriptions from their comments, enumerations from their typed constants. It reads the source and not the compiled
// types, because comments are only there.
//
// Run it with `go generate ./...`; package schemas has the directive.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run("../api/v1alpha1", "v1alpha1"); err != nil {
		fmt.Fprintln(os.Stderr, "schemagen:", err)
		os.Exit(1)
	}
}

// run writes the schemas of the types below src into dst.
func run(src, dst string) error {
	files, err := generate(src)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dst, name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate gives the files by their names.
func generate(src string) (map[string][]byte, error) {
	t, err := parse(src)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, kind := range t.kinds {
		s, err := t.document(kind)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(s); err != nil { // keys of maps come sorted
			return nil, err
		}
		files[kind+".json"] = b.Bytes()
	}
	return files, nil
}
