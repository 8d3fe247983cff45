package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
	"github.com/ambientplan/ambientplan/inventory"
)

// sourceFlags say where an inventory comes from.
type sourceFlags struct {
	files      []string
	namespace  string
	cluster    string
	contexts   []string
	kubeconfig string
	as         string
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.files, "filename", "f", nil, "file, directory (read recursively), kustomization or - for stdin; can be repeated")
	cmd.Flags().StringVarP(&f.namespace, "namespace", "n", "", "namespace of the documents that name none (default \"default\")")
	cmd.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster in the inventory")
	cmd.Flags().StringArrayVar(&f.contexts, "context", nil, "read the running cluster of this context of the kubeconfig; can be repeated")
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig to use; without --context its current context is read")
	cmd.Flags().StringVar(&f.as, "as", "", "user to act as in the cluster")
}

// live tells whether a running cluster is read.
func (f *sourceFlags) live() bool { return len(f.contexts) > 0 || f.kubeconfig != "" }

// check is what is wrong with the flags themselves.
func (f *sourceFlags) check() error {
	switch {
	case f.live() && len(f.files) > 0:
		return usageErrorf("-f and --context exclude each other: read the files and the cluster into an inventory each")
	case f.live() && f.namespace != "":
		return usageErrorf("-n belongs to -f: a cluster is read as a whole")
	case f.live() && f.cluster != "" && len(f.contexts) > 1:
		return usageErrorf("--cluster names one cluster; several contexts are called by their names")
	case f.as != "" && !f.live():
		return usageErrorf("--as belongs to --context")
	}
	return nil
}

// read reads the files, or the clusters, into an inventory.
func (f *sourceFlags) read(ctx context.Context, s *streams, doing *progress) (*api.Inventory, error) {
	if !f.live() {
		return inventory.Read(ctx, inventory.Options{Paths: f.files, Stdin: s.in, DefaultNamespace: f.namespace, Cluster: f.cluster})
	}
	contexts := slices.Compact(slices.Sorted(slices.Values(f.contexts)))
	if len(contexts) == 0 {
		contexts = []string{""}
	}
	var all []*api.Inventory
	var failed []error
	for _, name := range contexts {
		inv, err := f.readContext(ctx, s, doing, name, len(contexts) > 1)
		switch {
		case err == nil:
		case len(contexts) == 1 || ctx.Err() != nil:
			return nil, err
		default:
			failed = append(failed, err)
			inv = &api.Inventory{Clusters: []api.Cluster{{Name: name, Unreadable: err.Error()}}}
		}
		all = append(all, inv)
	}
	if len(failed) == len(all) {
		return nil, errors.Join(failed...)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return inventory.Merge(all), nil
}

// unread is the error about the clusters of an inventory that could not be read; nil when
// all were.
func unread(inv *api.Inventory) error {
	var errs []error
	for _, c := range inv.Clusters {
		if c.Unreadable != "" {
			errs = append(errs, fmt.Errorf("cluster %s is not in the inventory: %s", c.Name, c.Unreadable))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &exitError{exitFailed, errors.Join(errs...)}
}

// readContext reads the cluster of one context, under its own name where there are others.
func (f *sourceFlags) readContext(ctx context.Context, s *streams, doing *progress, name string, others bool) (*api.Inventory, error) {
	c, err := cluster.Connect(cluster.Options{Kubeconfig: f.kubeconfig, Context: name, Impersonate: f.as})
	if err != nil {
		return nil, usageErrorf("%w", err)
	}
	o := inventory.LiveOptions{Cluster: f.cluster, Progress: func(kind string, n int) {
		doing.stage(fmt.Sprintf("reading %s: %d objects, now %s", c.Name(), n, kind))
	}}
	if others {
		o.Cluster = c.Name()
	}
	inv, err := inventory.ReadCluster(ctx, c, o)
	if err != nil {
		return nil, err
	}
	s.notef("%s: %s of %s read with %s", c.Name(), plural(inv.Documents.Kept, "object"), plural(kindsSeen(inv), "kind"), plural(c.Calls(), "request"))
	return inv, nil
}

// kindsSeen counts the kinds that were listed.
func kindsSeen(inv *api.Inventory) int {
	n := 0
	for _, c := range inv.Coverage {
		if c.State == api.Complete {
			n++
		}
	}
	return n
}

// open opens a file, or stdin for "-". name is what errors call it.
func (s *streams) open(path string) (r io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(s.in), "stdin", nil
	}
	file, err := os.Open(path)
	return file, path, err
}

// decodeFile reads one document of ours with its own decoder.
func decodeFile[T any](s *streams, path string, decode func(string, io.Reader) (*T, error)) (*T, error) {
	r, name, err := s.open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return decode(name, r)
}

// readNeeds reads the files of owners, sorted by name so that the order of the
// flags does not matter.
func readNeeds(s *streams, paths []string) ([]api.FeatureNeeds, error) {
	paths = slices.Compact(slices.Sorted(slices.Values(paths)))
	all := make([]api.FeatureNeeds, 0, len(paths))
	for _, p := range paths {
		n, err := decodeFile(s, p, api.DecodeNeeds)
		if err != nil {
			return nil, err
		}
		all = append(all, *n)
	}
	return all, nil
}

// oneStdin refuses two inputs that would both read stdin.
func oneStdin(paths ...string) error {
	n := 0
	for _, p := range paths {
		if p == "-" {
			n++
		}
	}
	if n > 1 {
		return usageErrorf("only one input can be read from stdin (-)")
	}
	return nil
}

// oneOf checks a flag whose values are a closed set.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usageErrorf("--%s is %q; it must be one of %s", flag, value, strings.Join(allowed, ", "))
}

// digest is over the input documents in their canonical form: the inventory, the
// needs and the policy. Positions in files are part of the inventory only.
func digest(inv *api.Inventory, needs []api.FeatureNeeds, policy *api.MigrationPolicy) (string, error) {
	return sum(struct {
		Inventory *api.Inventory
		Needs     []api.FeatureNeeds
		Policy    *api.MigrationPolicy
	}{inv, needs, policy})
}

// inputDigest is over what a proof depends on besides the plan itself: the
// inventory and the call graph.
func inputDigest(inv *api.Inventory, calls []api.Edge) (string, error) {
	return sum(struct {
		Inventory *api.Inventory
		Calls     []api.Edge
	}{inv, calls})
}

func sum(v any) (string, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(v); err != nil {
		return "", fmt.Errorf("digest of the inputs: %w", err)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
