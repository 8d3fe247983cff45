package inventory

import (
	"errors"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// configMap keeps Istio's mesh configuration: the key "mesh" of the ConfigMap
// "istio", or "istio-REVISION", becomes an object of kind MeshConfig. Of Cilium's
// ConfigMap three settings are kept, and nothing else of any ConfigMap.
func (b *builder) configMap(d *document) error {
	if d.name == ciliumConfig {
		return b.ciliumConfig(d)
	}
	text := str(d.content, "data", "mesh")
	revision, isIstio := strings.CutPrefix(d.name, "istio")
	if !isIstio || revision != "" && revision[0] != '-' || text == "" {
		b.count.Irrelevant++
		return nil
	}
	first := d.lines["data.mesh"] // the text of a block scalar starts on the next line
	spec, lines, err := api.DecodeObject([]byte(text), first+1, true)
	if err != nil {
		line := d.origin.Line
		var s *api.SyntaxError
		if errors.As(err, &s) && first > 0 && s.Line > 0 {
			line = s.Line
		}
		m := *d
		m.gk, m.apiVersion, m.origin.Line = meshConfigKind(), "istio.io/v1alpha1", line
		b.reject(&m, err.Error())
		return nil
	}
	m := &document{gk: meshConfigKind(), apiVersion: "istio.io/v1alpha1", namespace: d.namespace, name: d.name, origin: d.origin, lines: map[string]int{}}
	if first > 0 {
		for p, l := range lines {
			m.lines["spec."+p] = l
		}
		m.lines["spec"] = first
	}
	meta := map[string]any{"name": d.name, "namespace": d.namespace}
	if uid := str(d.content, "metadata", "uid"); uid != "" {
		meta["uid"] = uid
	}
	labels := map[string]any{}
	for k, v := range object(d.content, "metadata", "labels") {
		labels[k] = v
	}
	if _, ok := labels["istio.io/rev"]; !ok && revision != "" {
		labels["istio.io/rev"] = revision[1:] // the charts name it after the revision
	}
	if len(labels) > 0 {
		meta["labels"] = labels
	}
	if spec == nil {
		spec = api.Content{}
	}
	m.content = api.Content{"apiVersion": m.apiVersion, "kind": "MeshConfig", "metadata": meta, "spec": map[string]any(spec)}
	return b.keep(m)
}

func meshConfigKind() groupKind { return groupKind{"istio.io", "MeshConfig"} }

// withoutTokens blanks the one credential that a mesh configuration may hold in
// the clear: accessToken of a tracing provider.
func withoutTokens(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, c := range v {
			if _, ok := c.(string); ok && k == "accessToken" {
				out[k] = "REDACTED"
				continue
			}
			out[k] = withoutTokens(c)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = withoutTokens(c)
		}
		return out
	}
	return v
}
