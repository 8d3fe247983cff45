package render

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// manifestFile lists the files that Write wrote, in the format of sha256sum, so
// that `sha256sum -c .ambientplan` tells what was edited since.
const manifestFile = ".ambientplan"

// Write puts the tree into dir, all of it or nothing: the files go to a temporary
// directory beside it, which is then renamed. dir may be missing, empty, or hold
// what an earlier Write wrote and nobody edited; anything else is a
// *ForeignFileError. On an error dir is as it was.
func (t *Tree) Write(dir string) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	exists, err := ours(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".ambientplan-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(tmp))
		}
	}()
	if err := t.writeFiles(tmp); err != nil {
		return err
	}
	if !exists {
		return os.Rename(tmp, dir)
	}
	old, err := os.MkdirTemp(parent, ".ambientplan-old-*")
	if err != nil {
		return err
	}
	if err := swap(tmp, dir, filepath.Join(old, "tree")); err != nil {
		return errors.Join(err, os.Remove(old))
	}
	return os.RemoveAll(old)
}

// swap puts the directory tmp in the place of dir, which goes to old.
func swap(tmp, dir, old string) error {
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return nil
}

// writeFiles writes every file and the manifest below root.
func (t *Tree) writeFiles(root string) error {
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	var manifest bytes.Buffer
	for _, p := range t.Paths() {
		fmt.Fprintf(&manifest, "%s  %s\n", digest(t.files[p]), p)
		if err := writeFile(filepath.Join(root, filepath.FromSlash(p)), t.files[p]); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(root, manifestFile), manifest.Bytes())
}

func writeFile(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// ours tells whether dir exists, and fails when it holds a file that Write did
// not write or that was edited.
func ours(dir string) (exists bool, err error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		return true, &ForeignFileError{Path: dir}
	}
	manifest, err := readManifest(filepath.Join(dir, manifestFile))
	if err != nil {
		return true, err
	}
	return true, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || rel == manifestFile {
			return err
		}
		sum, listed := manifest[filepath.ToSlash(rel)]
		if !listed || !d.Type().IsRegular() {
			return &ForeignFileError{Path: path}
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if digest(b) != sum {
			return &ForeignFileError{Path: path, Edited: true}
		}
		return nil
	})
}

// readManifest reads the digests of an earlier Write; none when there was none. A
// line that is not one of a manifest lists nothing, so its file counts as foreign.
func readManifest(path string) (map[string]string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		if sum, file, ok := strings.Cut(lines.Text(), "  "); ok {
			out[file] = sum
		}
	}
	return out, lines.Err()
}
