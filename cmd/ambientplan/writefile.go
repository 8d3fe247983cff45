package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// writeFile writes a document of ours so that path holds either the old bytes or
// the new, never a part. A file that is there and that is not such a document is
// somebody else's and is not replaced.
func writeFile(path string, data []byte) error {
	if err := oursOrAbsent(path); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// oursOrAbsent looks for our apiVersion at the head of the file.
func oursOrAbsent(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if n > 0 && !bytes.Contains(head[:n], []byte(api.APIVersion)) {
		return &exitError{exitUsage, fmt.Errorf("%s is there and was not written by ambientplan: it is left as it is", path)}
	}
	return nil
}
