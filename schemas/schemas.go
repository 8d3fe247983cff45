// Package schemas holds the JSON schemas of the documents, generated from their Go types.
package schemas

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

//go:generate go run ../internal/schemagen

//go:embed v1alpha1/*.json
var files embed.FS

// Kinds are the documents that have a schema, sorted.
func Kinds() []string {
	entries, err := fs.ReadDir(files, "v1alpha1")
	if err != nil {
		return nil // cannot be: the directory is embedded
	}
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.Sort(kinds)
	return kinds
}

// Of is the schema of a kind; ok is false when there is none.
func Of(kind string) (text []byte, ok bool) {
	text, err := files.ReadFile("v1alpha1/" + kind + ".json")
	return text, err == nil
}
