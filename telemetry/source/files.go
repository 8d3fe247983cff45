package source

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// What is read of directories at most.
const (
	maxFiles = 50_000
	maxBytes = 1 << 30
)

// dataSuffixes are of files that are read in directories, besides codeSuffixes. A file that is named itself is read
// whatever it is called.
var dataSuffixes = []string{".json", ".yaml", ".yml", ".rules"}

// Read reads files and all files below directories, sorted by path; for parses see Parse. Names are as given, with /.
// Of directories it skips .git and node_modules, binary files, and those whose names say that they hold nothing of
// interest. Symbolic links are not followed: what is in the tree is read where it is, and one that leaves it is a note.
// It fails when a path cannot be read, and on more than 50,000 files or 1 GiB.
func Read(paths []string, parses func(expr string) error) ([]*File, error) {
	w := walk{seen: map[string]bool{}}
	for _, p := range paths {
		if err := w.path(p); err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
	}
	slices.SortFunc(w.found, func(a, b found) int { return strings.Compare(a.name, b.name) })
	var files []*File
	size := 0
	for _, f := range w.found {
		if f.link != "" {
			files = append(files, &File{Path: f.name, Notes: []Note{{
				File: f.name, Line: 1, Column: 1, Kind: Remote, Text: "the symbolic link leaves the directory, to " + f.link + ", and is not followed",
			}}})
			continue
		}
		data, err := f.content()
		if err != nil {
			return nil, fmt.Errorf("source: %w", err)
		}
		if size += len(data); size > maxBytes {
			return nil, fmt.Errorf("source: the files have more than %d bytes", maxBytes)
		}
		if binary(data) && !f.named {
			continue
		}
		files = append(files, Parse(f.name, string(data), parses))
	}
	Relate(files)
	return files, nil
}

type found struct {
	path, name string
	// named says that the path was given itself.
	named bool
	// link is where a symbolic link out of the tree leads.
	link string
}

// content reads one byte more than Parse takes, so that what is too large becomes a note.
func (f found) content() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, min(max(info.Size(), 0), maxFile+1))
	n := 0
	for n < len(data) {
		k, err := file.Read(data[n:])
		n += k
		if err != nil {
			break
		}
	}
	return data[:n], nil
}

func binary(data []byte) bool { return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 }

type walk struct {
	found []found
	seen  map[string]bool
}

func (w *walk) path(root string) error {
	info, err := os.Stat(root)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a directory", root)
		}
		return w.put(found{path: root, named: true})
	}
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && (e.Name() == ".git" || e.Name() == "node_modules"):
			return filepath.SkipDir
		case e.Type()&fs.ModeSymlink != 0:
			return w.link(path, real)
		case e.Type().IsRegular() && interesting(path):
			return w.put(found{path: path})
		}
		return nil
	})
}

func (w *walk) link(path, root string) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil // A link that leads nowhere holds no queries.
	}
	rel, err := filepath.Rel(root, target)
	if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
		return nil
	}
	return w.put(found{path: path, link: filepath.ToSlash(target)})
}

func interesting(path string) bool {
	return sourceCode(path) || slices.ContainsFunc(dataSuffixes, func(s string) bool { return strings.HasSuffix(path, s) })
}

func (w *walk) put(f found) error {
	f.name = filepath.ToSlash(filepath.Clean(f.path))
	if w.seen[f.name] {
		return nil
	}
	w.seen[f.name] = true
	if len(w.found) >= maxFiles {
		return fmt.Errorf("there are more than %d files", maxFiles)
	}
	w.found = append(w.found, f)
	return nil
}
