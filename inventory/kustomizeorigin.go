package inventory

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"reflect"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// originAnnotation is where kustomize notes the file that a resource came from.
const originAnnotation = "config.kubernetes.io/origin"

// originsOn is a file system that asks kustomize to note the origin of each
// resource, by adding buildMetadata to what it reads of one kustomization.
type originsOn struct {
	filesys.FileSystem
	file string // resolved path of the kustomization file
}

// ReadFile reads a file, and adds to the one kustomization.
func (f originsOn) ReadFile(name string) ([]byte, error) {
	b, err := f.FileSystem.ReadFile(name)
	if err != nil || resolved(name) != f.file || bytes.Contains(b, []byte("buildMetadata")) {
		return b, err
	}
	return append(bytes.Clone(b), "\nbuildMetadata: [originAnnotations]\n"...), nil
}

// sourceFile is one document of a file that a kustomization reads.
type sourceFile struct {
	content api.Content
	lines   map[string]int
	line    int
}

// origins finds the lines of built resources in the files they came from.
type origins struct {
	dir   string
	files map[string][]sourceFile
}

// take removes kustomize's note from a built resource and looks up its source:
// the file, the line of the document, and the lines of those fields that still
// have the value that stands there. ok is false when it cannot be told.
func (o *origins) take(c api.Content) (at api.Origin, lines map[string]int, ok bool) {
	meta := object(c, "metadata")
	annotations := object(meta, "annotations")
	note, _ := annotations[originAnnotation].(string)
	delete(annotations, originAnnotation)
	if annotations != nil && len(annotations) == 0 {
		delete(meta, "annotations")
	}
	path, isPath := strings.CutPrefix(strings.TrimSpace(note), "path: ")
	if !isPath || strings.Contains(path, "\n") {
		return at, nil, false // generated, transformed or remote
	}
	file := filepath.Join(o.dir, filepath.FromSlash(path))
	var best *sourceFile
	for i := range o.read(file) {
		s := &o.files[file][i]
		name := str(s.content, "metadata", "name")
		if str(s.content, "kind") != str(c, "kind") || name == "" || !strings.Contains(str(meta, "name"), name) {
			continue
		}
		// Prefixes and suffixes make names longer: the longest that fits is the one.
		if best == nil || len(name) > len(str(best.content, "metadata", "name")) {
			best = s
		}
	}
	if best == nil {
		return at, nil, false
	}
	same := map[string]int{}
	unchanged(best.content, c, "", best.lines, same)
	return api.Origin{File: filepath.ToSlash(file), Line: best.line}, same, true
}

// read parses the documents of a file, once. A file that does not parse has none.
func (o *origins) read(file string) []sourceFile {
	if docs, ok := o.files[file]; ok {
		return docs
	}
	o.files[file] = nil
	b, err := filesys.MakeFsOnDisk().ReadFile(file)
	if err != nil {
		return nil
	}
	err = readStream(context.Background(), file, bufio.NewReader(bytes.NewReader(b)), func(c chunk) error {
		content, lines, err := api.DecodeObject(c.data, c.line, true)
		if err == nil && content != nil && c.broken == "" {
			o.files[file] = append(o.files[file], sourceFile{content, lines, objectLine(c, lines)})
		}
		return nil // only positions are lost: kustomize has read the file
	})
	if err != nil {
		return nil
	}
	return o.files[file]
}

// unchanged collects the lines of the fields that are the same before and after
// the build. A container counts as the same when it is there in both.
func unchanged(before, after any, path string, lines, out map[string]int) {
	keep := func() {
		if l := lines[path]; l > 0 {
			out[path] = l
		}
	}
	switch b := before.(type) {
	case api.Content:
		unchanged(map[string]any(b), after, path, lines, out)
	case map[string]any:
		a, ok := after.(map[string]any)
		if c, isContent := after.(api.Content); isContent {
			a, ok = c, true
		}
		if !ok {
			return
		}
		keep()
		for k, v := range b {
			if w, ok := a[k]; ok {
				p := k
				if path != "" {
					p = api.FieldPath(path, k)
				}
				unchanged(v, w, p, lines, out)
			}
		}
	case []any:
		a, ok := after.([]any)
		if !ok || !reflect.DeepEqual(a, b) {
			return // a patch may have moved items: their indices say nothing
		}
		for p, l := range lines {
			if under(p, []string{path}) {
				out[p] = l
			}
		}
	default:
		if before == after {
			keep()
		}
	}
}
