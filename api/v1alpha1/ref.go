package v1alpha1

import (
	"cmp"
	"strconv"
	"strings"
)

// Ref names one object of a cluster. Group is empty for core kinds; Namespace is
// empty for cluster-scoped ones; Cluster is empty where a plan has one cluster.
type Ref struct {
	Cluster   string `json:"cluster,omitempty"`
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String is the form that people read: "AuthorizationPolicy shop/web".
func (r Ref) String() string {
	var b strings.Builder
	b.WriteString(r.Kind)
	b.WriteByte(' ')
	if r.Cluster != "" {
		b.WriteString(r.Cluster)
		b.WriteByte('/')
	}
	if r.Namespace != "" {
		b.WriteString(r.Namespace)
		b.WriteByte('/')
	}
	b.WriteString(r.Name)
	return b.String()
}

// IsZero tells whether the reference names nothing.
func (r Ref) IsZero() bool { return r == Ref{} }

// Compare orders references by cluster, namespace, kind, name and group. It is
// the total order in which every list of references is printed.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Cluster, o.Cluster),
		cmp.Compare(r.Namespace, o.Namespace),
		cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Name, o.Name),
		cmp.Compare(r.Group, o.Group),
	)
}

// Origin says where an object was read. Line counts from 1; 0 means that there
// is no line, as for an object that came from a live cluster.
type Origin struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Fields maps a field path ("spec.rules[0].to[0].operation.methods",
	// `metadata.labels["istio.io/rev"]`) to its line in File. Only paths that a
	// rule may cite are kept.
	Fields map[string]int `json:"fields,omitempty"`
}

// At is "file:line" of the given field path, or of its nearest parent that has
// a line, or of the object. It is empty when nothing is known.
func (o Origin) At(path string) string {
	if o.File == "" {
		return ""
	}
	line := o.Line
	for p := path; p != ""; p = parentPath(p) {
		if l, ok := o.Fields[p]; ok {
			line = l
			break
		}
	}
	if line == 0 {
		return o.File
	}
	return o.File + ":" + strconv.Itoa(line)
}

// parentPath cuts the last step off a field path: `a.b[0]` -> `a.b`,
// `a["x.y"]` -> `a`, `a` -> "".
func parentPath(p string) string {
	if strings.HasSuffix(p, "]") {
		if strings.HasSuffix(p, `"]`) {
			if i := strings.LastIndex(p, `["`); i >= 0 {
				return p[:i]
			}
		}
		if i := strings.LastIndexByte(p, '['); i >= 0 {
			return p[:i]
		}
	}
	if i := strings.LastIndexByte(p, '.'); i >= 0 {
		return p[:i]
	}
	return ""
}

// Evidence is one fact that a decision rests on: a field of an object.
type Evidence struct {
	Object Ref `json:"object"`
	// Path is the field path inside the object; empty means the object as a whole.
	Path string `json:"path,omitempty"`
	// Value is what stands there, shortened for people.
	Value string `json:"value,omitempty"`
	// Source is "file:line", or "cluster", filled in by the engine and never by a rule.
	Source string `json:"source,omitempty"`
}

// Compare orders evidence by object, path and value.
func (e Evidence) Compare(o Evidence) int {
	return cmp.Or(e.Object.Compare(o.Object), cmp.Compare(e.Path, o.Path), cmp.Compare(e.Value, o.Value), cmp.Compare(e.Source, o.Source))
}
