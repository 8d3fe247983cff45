package inventory

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// source is one stream of documents.
type source struct {
	// name is what evidence calls it, with forward slashes.
	name string
	path string
	// stdin is set for "-".
	stdin io.Reader
	// kustomize is set when path is a kustomization's directory.
	kustomize bool
}

// sources expands the paths, sorted by name and without repetitions, so that
// the order of the arguments does not matter.
func sources(o Options) ([]source, error) {
	if len(o.Paths) == 0 {
		return nil, fmt.Errorf("no path given: %w", ErrNoDocuments)
	}
	w := walker{seen: map[string]bool{}, dirs: map[string]bool{}}
	for _, p := range o.Paths {
		if p == "-" {
			if !w.seen["-"] {
				w.seen["-"] = true
				w.found = append(w.found, source{name: "stdin", stdin: o.Stdin})
			}
			continue
		}
		if err := w.add(filepath.Clean(p)); err != nil {
			return nil, err
		}
	}
	roots, err := unreferenced(w.kustomizations, w.named)
	if err != nil {
		return nil, err
	}
	for _, d := range append(roots, w.named...) {
		w.found = append(w.found, source{name: filepath.ToSlash(d), path: d, kustomize: true})
	}
	slices.SortFunc(w.found, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return w.found, nil
}

// walker collects sources. seen and dirs hold resolved paths, so that links
// neither loop nor count twice.
type walker struct {
	found []source
	seen  map[string]bool
	dirs  map[string]bool
	// named are the kustomizations that the user asked for, kustomizations those
	// that were found below a directory.
	named          []string
	kustomizations []string
}

// add adds a path that was named by the user, whatever its extension.
func (w *walker) add(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return &ReadError{Path: path, Err: err}
	}
	if !info.IsDir() && kustomizationFile(filepath.Dir(path)) == path {
		path = filepath.Dir(path)
		info, err = os.Stat(path)
		if err != nil {
			return &ReadError{Path: path, Err: err}
		}
	}
	if !info.IsDir() {
		return w.file(path)
	}
	if kustomizationFile(path) != "" && !w.dirs[resolved(path)] {
		w.dirs[resolved(path)] = true
		w.named = append(w.named, path)
		return nil
	}
	return w.directory(path)
}

func (w *walker) file(path string) error {
	real := resolved(path)
	if !w.seen[real] {
		w.seen[real] = true
		w.found = append(w.found, source{name: filepath.ToSlash(path), path: path})
	}
	return nil
}

func (w *walker) directory(path string) error {
	real := resolved(path)
	if w.dirs[real] {
		return nil
	}
	w.dirs[real] = true
	if kustomizationFile(path) != "" {
		// What it does not name, here and below, is not applied.
		w.kustomizations = append(w.kustomizations, path)
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return &ReadError{Path: path, Err: err}
	}
	for _, e := range entries {
		name := e.Name()
		full := filepath.Join(path, name)
		isDir := e.IsDir()
		if e.Type()&fs.ModeSymlink != 0 {
			info, err := os.Stat(full)
			if errors.Is(err, fs.ErrNotExist) {
				continue // a dangling link holds no manifest
			}
			if err != nil {
				return &ReadError{Path: full, Err: err}
			}
			isDir = info.IsDir()
		}
		switch {
		case isDir && !strings.HasPrefix(name, "."):
			err = w.directory(full)
		case !isDir && isManifestName(name):
			err = w.file(full)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isManifestName tells whether a file of a directory is read.
func isManifestName(name string) bool {
	switch filepath.Ext(strings.TrimSuffix(name, ".gz")) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// read streams the documents of the source into the builder.
func (s source) read(ctx context.Context, b *builder) error {
	if s.kustomize {
		return readKustomization(ctx, s.path, b)
	}
	r := s.stdin
	if s.path != "" {
		f, err := os.Open(s.path)
		if err != nil {
			return &ReadError{Path: s.path, Err: err}
		}
		defer func() { _ = f.Close() }() // only read
		r = f
	}
	if r == nil {
		return &ReadError{Path: s.name, Err: errors.New("nothing to read")}
	}
	br := bufio.NewReaderSize(r, 64<<10)
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return &ReadError{Path: s.name, Err: err}
		}
		br = bufio.NewReaderSize(z, 64<<10)
	}
	return readStream(ctx, s.name, br, b.document)
}
