package inventory

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/cluster"
)

// fromCluster is where objects of a running cluster were read.
const fromCluster = "cluster"

// readers is how many kinds are read at once.
const readers = 4

// LiveOptions say how a cluster is read.
type LiveOptions struct {
	// Cluster is the name that the cluster gets in the inventory; "" where a plan has one.
	Cluster string
	// Progress is told now and then how many objects were read; nil is nobody.
	Progress func(kind string, objects int)
	// Each is given every object but ConfigMaps as it was read, with its status, before it
	// is projected, from one goroutine at a time; it must not keep Pods. nil is nobody.
	Each func(o api.Content)
}

// ReadCluster reads a running cluster into an inventory. Objects carry no place in a
// file. A kind that the cluster refuses is Forbidden in the coverage, one that it does
// not serve Absent, one that it could not list in full unknown: each with the reason.
// No answer at all is a *cluster.UnreachableError.
//
// Pods are read last and counted at the workload that owns them as they arrive, so that
// memory grows with workloads, not with pods. Lists are not of one moment: each has the
// resourceVersion that its coverage names.
func ReadCluster(ctx context.Context, c *cluster.Client, o LiveOptions) (*api.Inventory, error) {
	r := &liveReader{c: c, o: o, b: newBuilder(Options{Cluster: o.Cluster}), listings: map[groupKind]cluster.Listing{}}
	r.b.live = true
	version, err := c.Version(ctx)
	if err != nil {
		return nil, err
	}
	var first, last []api.KindInfo
	for _, k := range api.Kinds() {
		switch {
		case k.Resource == "": // the mesh configuration, of which more below
		case k.Kind == "Pod":
			last = append(last, k)
		default:
			first = append(first, k)
		}
	}
	for _, kinds := range [][]api.KindInfo{first, last} {
		if err := r.kinds(ctx, kinds); err != nil {
			return nil, err
		}
	}
	if err := r.configMaps(ctx); err != nil {
		return nil, err
	}
	inv, err := r.b.finish()
	if err != nil {
		return nil, err
	}
	if len(inv.Clusters) == 1 && version != "" {
		inv.Clusters[0].KubernetesVersion = version
	}
	r.cover(inv)
	return inv, nil
}

type liveReader struct {
	c *cluster.Client
	o LiveOptions

	mu       sync.Mutex
	b        *builder
	listings map[groupKind]cluster.Listing
	objects  int
}

// kinds reads several kinds at once. The result does not depend on which is done first:
// the builder sorts.
func (r *liveReader) kinds(ctx context.Context, kinds []api.KindInfo) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work := make(chan api.KindInfo)
	errs := make([]error, readers)
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			for k := range work {
				if errs[i] != nil {
					continue
				}
				if errs[i] = r.kind(ctx, k); errs[i] != nil {
					cancel()
				}
			}
		})
	}
	for _, k := range kinds {
		work <- k
	}
	close(work)
	wg.Wait()
	return firstCause(errs)
}

// firstCause is the error that is not the consequence of another's.
func firstCause(errs []error) error {
	var out error
	for _, err := range errs {
		if err != nil && (out == nil || strings.Contains(out.Error(), context.Canceled.Error())) {
			out = err
		}
	}
	return out
}

// kind reads one kind.
func (r *liveReader) kind(ctx context.Context, k api.KindInfo) error {
	l, err := r.c.List(ctx, k, func(o api.Content) error { return r.object(k.Kind, o) })
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.listings[groupKind{k.Group, k.Kind}] = l
	return nil
}

// progressEvery is after how many objects somebody is told.
const progressEvery = 100

func (r *liveReader) object(kind string, o api.Content) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.objects++; r.o.Progress != nil && r.objects%progressEvery == 1 {
		r.o.Progress(kind, r.objects)
	}
	if r.o.Each != nil && kind != "ConfigMap" {
		r.o.Each(o)
	}
	return r.b.object(o, nil, api.Origin{File: fromCluster}, false)
}

// configMaps reads the mesh configuration: that of the default revision and of every
// istiod that was found, and Cilium's settings.
func (r *liveReader) configMaps(ctx context.Context) error {
	names := []string{"istio"}
	for _, d := range r.b.istiods {
		if d.Revision != "" && d.Revision != "default" && !slices.Contains(names, "istio-"+d.Revision) {
			names = append(names, "istio-"+d.Revision)
		}
	}
	slices.Sort(names)
	var mesh cluster.Listing
	for _, name := range append(names, ciliumConfig) {
		l, err := r.c.ConfigMaps(ctx, name, func(o api.Content) error { return r.object("ConfigMap", o) })
		if err != nil {
			return err
		}
		if name == ciliumConfig {
			if !l.State.Known() {
				r.b.unknowns = append(r.b.unknowns, unseenCilium(r.b.cluster, l))
			}
			continue
		}
		if !l.State.Known() {
			l.Reason = fmt.Sprintf("ConfigMap %s: %s", name, l.Reason)
			mesh = l
			break
		}
		if mesh.State != api.Complete {
			mesh = l
		}
	}
	r.listings[meshConfigKind()] = mesh
	return nil
}

// unseenCilium is said when Cilium's settings may not be read: they decide whether
// ambient mode works with it (facts P-09).
func unseenCilium(name string, l cluster.Listing) api.Unknown {
	ref := api.Ref{Cluster: name, Kind: "ConfigMap", Name: ciliumConfig}
	return api.Unknown{
		ID: "cilium-settings", Subject: ref,
		What:     fmt.Sprintf("whether Cilium is set up so that ambient mode works with it: its ConfigMap cannot be read (%s: %s)", l.State, l.Reason),
		Could:    "with cni-exclusive or without socket load balancing restricted to the host, pods are not captured",
		Action:   "allow it: " + configMapRule(ciliumConfig) + "; or check by hand that there is no Cilium",
		Evidence: []api.Evidence{{Object: ref, Source: "cluster"}},
	}
}

// cover writes into the coverage what the lists said.
func (r *liveReader) cover(inv *api.Inventory) {
	for i := range inv.Coverage {
		k := &inv.Coverage[i]
		l, ok := r.listings[groupKind{k.Group, k.Kind}]
		switch {
		case !ok:
			k.State, k.Reason = api.NotKnown, "it was not asked for"
		case !l.State.Known():
			k.State, k.Reason = l.State, l.Reason
		case k.State == api.NotKnown:
			// An object of the kind could not be understood.
		case l.State == api.Absent && l.Reason != "":
			k.Reason = l.Reason
		}
		k.ResourceVersion = l.ResourceVersion
	}
}
