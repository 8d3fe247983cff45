package translate

import (
	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// MaxTargetRefs is how many targetRefs the API takes in one policy (facts L-15).
const MaxTargetRefs = 16

// Attach copies a policy that is attached by selector into one that is attached
// to Services by targetRefs, under a new name, in the namespace of the Services.
// A policy with targetRefs is inert for sidecars and for ztunnel, so the copy may
// exist before anything moves (facts L-01, L-15, O-34, C-67).
func Attach(o *api.Object, namespace, name string, services []string) api.Content {
	spec, _ := Clone(o.Content)["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{}
	}
	delete(spec, "selector")
	refs := make([]any, len(services))
	for i, s := range services {
		refs[i] = map[string]any{"group": "", "kind": "Service", "name": s}
	}
	spec["targetRefs"] = refs
	meta := map[string]any{
		"name": name, "namespace": namespace,
		"labels":      map[string]any{LabelManaged: ManagedBy},
		"annotations": map[string]any{AnnotationCopyOf: o.Namespace + "/" + o.Name},
	}
	// A dry-run policy must stay one (facts L-01).
	if v, ok := o.Annotations()["istio.io/dry-run"]; ok {
		meta["annotations"].(map[string]any)["istio.io/dry-run"] = v
	}
	return api.Content{"apiVersion": o.APIVersion, "kind": o.Kind, "metadata": meta, "spec": spec}
}

// AnnotationCopyOf names the object that a copy was made of, as namespace/name, or
// several objects divided by commas.
const AnnotationCopyOf = "ambientplan.dev/copy-of"

// SetLabel sets a label of an object that the plan makes.
func SetLabel(c api.Content, key, value string) { set(c, "labels", key, value) }

// SetAnnotation sets an annotation of an object that the plan makes.
func SetAnnotation(c api.Content, key, value string) { set(c, "annotations", key, value) }

func set(c api.Content, field, key, value string) {
	meta, ok := c["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		c["metadata"] = meta
	}
	m, ok := meta[field].(map[string]any)
	if !ok {
		m = map[string]any{}
		meta[field] = m
	}
	m[key] = value
}

// Spec of a content as a map that may be changed; nil when there is none.
func Spec(c api.Content) map[string]any {
	s, _ := c["spec"].(map[string]any)
	return s
}

// ForwardToken sets forwardOriginalToken on every jwtRule, because a sidecar
// behind the waypoint validates the token again (facts L-25). It tells whether
// anything changed.
func ForwardToken(c api.Content) bool {
	changed := false
	rules, _ := Spec(c)["jwtRules"].([]any)
	for _, r := range rules {
		if m, ok := r.(map[string]any); ok && m["forwardOriginalToken"] != true {
			m["forwardOriginalToken"] = true
			changed = true
		}
	}
	return changed
}
