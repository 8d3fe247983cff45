// Package translate makes, from what a mesh has today, the objects that ambient
// mode needs: policies attached to a waypoint, policies that admit one, waypoint
// Gateways and NetworkPolicy openings. Each function returns whole objects and
// decides nothing about order.
package translate

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	sjson "sigs.k8s.io/json"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// LabelManaged marks every object that the plan creates, so that people can find
// them and so that a later inventory knows them for ours.
const (
	LabelManaged = "app.kubernetes.io/managed-by"
	ManagedBy    = "ambientplan"
)

// content turns a typed object into the form in which a plan holds it. The
// status that typed objects carry is dropped.
func content(obj any) (api.Content, error) {
	b, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", obj, err)
	}
	m := map[string]any{}
	if err := sjson.UnmarshalCaseSensitivePreserveInts(b, &m); err != nil {
		return nil, fmt.Errorf("decode %T: %w", obj, err)
	}
	delete(m, "status")
	if meta, ok := m["metadata"].(map[string]any); ok {
		delete(meta, "creationTimestamp")
	}
	return m, nil
}

// Clone copies a content deeply.
func Clone(c api.Content) api.Content {
	if c == nil {
		return nil
	}
	return runtime.DeepCopyJSON(c)
}

// Stored is an object of the cluster as the tree holds it: without what the API
// server or a client wrote into its metadata.
func Stored(o *api.Object) api.Content {
	c := Clone(o.Content)
	if c == nil {
		c = api.Content{}
	}
	meta, _ := c["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		c["metadata"] = meta
	}
	for _, k := range []string{"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "ownerReferences", "finalizers", "deletionTimestamp"} {
		delete(meta, k)
	}
	if a, ok := meta["annotations"].(map[string]any); ok {
		delete(a, "kubectl.kubernetes.io/last-applied-configuration")
		if len(a) == 0 {
			delete(meta, "annotations")
		}
	}
	meta["name"] = o.Name
	if o.Namespace != "" {
		meta["namespace"] = o.Namespace
	}
	c["apiVersion"], c["kind"] = o.APIVersion, o.Kind
	delete(c, "status")
	return c
}
