package cluster

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// resources is what an API server serves.
type resources struct {
	// versions is the preferred version of each kind.
	versions map[schema.GroupKind]served
	// failed are groups of which the API server could not say what they hold.
	failed map[string]error
}

type served struct {
	gvr  schema.GroupVersionResource
	list bool
}

// find discovers what is served, once.
func (c *Client) find(ctx context.Context) (*resources, error) {
	c.once.Do(func() {
		c.failed = c.retry(ctx, func() error {
			r, err := c.preferred()
			c.resources = r
			return err
		})
	})
	if c.failed != nil {
		return nil, c.unreachable(c.failed)
	}
	return c.resources, nil
}

// preferred asks for the preferred version of every kind. Groups that fail alone do not
// fail the whole.
func (c *Client) preferred() (*resources, error) {
	lists, err := discovery.ServerPreferredResources(c.discover)
	out := &resources{versions: map[schema.GroupKind]served{}, failed: map[string]error{}}
	if err != nil {
		var some *discovery.ErrGroupDiscoveryFailed
		if !errors.As(err, &some) {
			return nil, err
		}
		for gv, e := range some.Groups {
			out.failed[gv.Group] = e
		}
	}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("discovery: %w", err)
		}
		for i := range l.APIResources {
			r := &l.APIResources[i]
			at := gv
			if r.Group != "" || r.Version != "" {
				at = schema.GroupVersion{Group: r.Group, Version: r.Version}
			}
			s := served{gvr: at.WithResource(r.Name)}
			for _, v := range r.Verbs {
				s.list = s.list || v == "list"
			}
			out.versions[schema.GroupKind{Group: at.Group, Kind: r.Kind}] = s
		}
	}
	return out, nil
}

// lookup says where objects of a kind are; state is set when they are nowhere.
func (r *resources) lookup(k api.KindInfo) (s served, state api.CoverageState, why string) {
	if s, ok := r.versions[schema.GroupKind{Group: k.Group, Kind: k.Kind}]; ok {
		if !s.list {
			return s, api.NotKnown, "the API server does not list them"
		}
		return s, "", ""
	}
	if err, ok := r.failed[k.Group]; ok {
		return served{}, api.NotKnown, fmt.Sprintf("the API server could not say what is in group %s: %v", k.Group, err)
	}
	return served{}, api.Absent, "the API server does not serve this kind"
}
