package inventory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Options say what to read.
type Options struct {
	// Paths are files, directories (read recursively), kustomizations (a
	// directory with a kustomization file) and "-" for Stdin.
	Paths []string
	Stdin io.Reader
	// DefaultNamespace holds the namespaced objects that name none; "" means "default".
	DefaultNamespace string
	// Cluster is the name of the cluster; "" where a plan has one.
	Cluster string
}

// ErrNoDocuments is wrapped when the input holds no object that the mesh is concerned with.
var ErrNoDocuments = errors.New("no Kubernetes object that concerns a mesh")

// ReadError is a file, directory or kustomization that could not be read.
type ReadError struct {
	Path string
	Err  error
}

// Error names the path once.
func (e *ReadError) Error() string {
	if strings.Contains(e.Err.Error(), e.Path) {
		return e.Err.Error()
	}
	return e.Path + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// TwoClustersError says that the input holds the same object of two clusters.
type TwoClustersError struct {
	Object        api.Ref
	First, Second string
}

// Error names both places.
func (e *TwoClustersError) Error() string {
	return fmt.Sprintf("the input looks like two clusters: %s has one uid in %s and another in %s; read one cluster at a time",
		e.Object, e.First, e.Second)
}

// Read reads everything that the options name into one inventory, sorted, and
// independent of the order of Paths. What cannot be parsed becomes an unknown;
// what cannot be opened is a *ReadError; an input without any relevant object
// wraps ErrNoDocuments; objects of two clusters are a *TwoClustersError.
func Read(ctx context.Context, o Options) (*api.Inventory, error) {
	srcs, err := sources(o)
	if err != nil {
		return nil, err
	}
	b := newBuilder(o)
	for _, s := range srcs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.read(ctx, b); err != nil {
			return nil, err
		}
	}
	inv, err := b.finish()
	if err != nil {
		return nil, err
	}
	if inv.Documents.Kept == 0 && inv.Documents.Unreadable == 0 {
		where := strings.Join(o.Paths, ", ")
		return nil, fmt.Errorf("%s: %w (%d documents read)", where, ErrNoDocuments, inv.Documents.Read)
	}
	return inv, nil
}
