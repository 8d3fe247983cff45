package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/inventory"
)

// callFlags say who calls whom, besides what policies and routes name.
type callFlags struct {
	edges      []string
	kiali      []string
	prometheus string
	window     time.Duration
	token      string
	ca         string
	headers    []string
}

func (f *callFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVar(&f.edges, "edges", nil, "call graph as CSV; can be repeated")
	fl.StringArrayVar(&f.kiali, "kiali", nil, "call graph as JSON of Kiali's graph API; can be repeated")
	fl.StringVar(&f.prometheus, "prometheus", "", "URL of a Prometheus that knows Istio's metrics: who called whom is read from them")
	fl.DurationVar(&f.window, "prometheus-window", 7*24*time.Hour, "how far back Prometheus is asked")
	fl.StringVar(&f.token, "prometheus-token-file", "", "file with the bearer token for Prometheus")
	fl.StringVar(&f.ca, "prometheus-ca-file", "", "file with the certificates that Prometheus is trusted by, instead of the system's")
	fl.StringArrayVar(&f.headers, "prometheus-header", nil, "header for Prometheus, as \"X-Scope-OrgID: team\"; can be repeated")
}

func (f *callFlags) check() error {
	switch {
	case f.prometheus == "" && (f.token != "" || f.ca != "" || len(f.headers) > 0):
		return usageErrorf("--prometheus-token-file, --prometheus-ca-file and --prometheus-header belong to --prometheus")
	case f.window%time.Second != 0:
		return usageErrorf("--prometheus-window is %s; it must be whole seconds", f.window)
	case f.window < time.Hour:
		return usageErrorf("--prometheus-window is %s; it must be an hour at least", f.window)
	}
	return nil
}

// read reads all call graphs into the inventory.
func (f *callFlags) read(ctx context.Context, s *streams, inv *api.Inventory) error {
	if err := addEdges(s, inv, f.edges); err != nil {
		return err
	}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(f.kiali))) {
		r, name, err := s.open(p)
		if err != nil {
			return err
		}
		edges, unknowns, err := inventory.ReadKiali(name, r, inv)
		r.Close()
		if err != nil {
			return err
		}
		inv.Edges, inv.Unknowns = append(inv.Edges, edges...), append(inv.Unknowns, unknowns...)
	}
	if f.prometheus != "" {
		edges, unknowns, err := inventory.ReadMetrics(ctx, inventory.MetricsOptions{URL: f.prometheus, Window: f.window, TokenFile: f.token, CAFile: f.ca, Headers: f.headers}, inv)
		if err != nil {
			return err
		}
		s.notef("Prometheus: %s in %s; calls that happen less often (monthly jobs) belong into --edges or FeatureNeeds", plural(len(edges), "call"), f.window)
		inv.Edges, inv.Unknowns = append(inv.Edges, edges...), append(inv.Unknowns, unknowns...)
	}
	slices.SortStableFunc(inv.Edges, compareEdges)
	slices.SortFunc(inv.Unknowns, api.Unknown.Compare)
	return nil
}

// files are those that may be stdin.
func (f *callFlags) files() []string { return slices.Concat(f.edges, f.kiali) }
