package inventory

import (
	"errors"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// groupKind tells kinds apart whatever their version.
type groupKind struct{ group, kind string }

// builder collects what documents say. It accounts for each of them.
type builder struct {
	cluster   string
	namespace string
	// live is true when the objects come from a cluster, each once, and pods after what
	// owns them.
	live bool
	// via is the kustomization that is being read; "" for plain files.
	via    string
	kinds  map[groupKind]bool
	count  api.DocumentCount
	counts map[groupKind]int
	// partial holds the reason why a kind was not read in full.
	partial map[groupKind]string

	namespaces []api.Namespace
	services   []api.Service
	objects    []api.Object
	unknowns   []api.Unknown
	workloads  map[api.Ref]*api.Workload
	owners     map[api.Ref]ownerRef // of ReplicaSets and Jobs
	pods       []pod
	nodes      map[api.NodeShape]int
	platforms  map[string]api.Platform
	// cilium holds what Cilium's ConfigMap says; nil when it was not read.
	cilium     *api.Component
	version    string
	istiods    []api.ControlPlane
	components []api.Component
	seen       map[api.Ref]record
}

func newBuilder(o Options) *builder {
	b := &builder{
		cluster:   o.Cluster,
		namespace: o.DefaultNamespace,
		kinds:     map[groupKind]bool{},
		counts:    map[groupKind]int{},
		partial:   map[groupKind]string{},
		workloads: map[api.Ref]*api.Workload{},
		owners:    map[api.Ref]ownerRef{},
		nodes:     map[api.NodeShape]int{},
		platforms: map[string]api.Platform{},
		seen:      map[api.Ref]record{},
	}
	if b.namespace == "" {
		b.namespace = "default"
	}
	for _, k := range api.Kinds() {
		if k.Resource != "" {
			b.kinds[groupKind{k.Group, k.Kind}] = true
		}
	}
	return b
}

// document is one object and where it was read.
type document struct {
	gk         groupKind
	apiVersion string
	namespace  string
	name       string
	content    api.Content
	origin     api.Origin
	lines      map[string]int
}

func (d *document) ref(cluster string) api.Ref {
	return api.Ref{Cluster: cluster, Group: d.gk.group, Kind: d.gk.kind, Namespace: d.namespace, Name: d.name}
}

// document reads the text of one document.
func (b *builder) document(c chunk) error {
	id := c.identity()
	if id.kind == "" {
		id.kind, id.apiVersion = c.kind, c.apiVersion
	}
	if id.sure && !b.concerns(id) {
		b.count.Read++
		b.count.Irrelevant++
		b.unrecognised(id, c.file, c.line)
		return nil
	}
	if c.envelope && id.kind == "" {
		// kubectl prints the kind of a list after its items.
		id.kind = "List"
		c.broken = "the list ends before its kind: it looks cut off"
	}
	if c.broken != "" {
		b.unreadable(c, c.line, id, c.broken)
		return nil
	}
	positions := id.kind != "Pod" && id.kind != "ReplicaSet" && id.kind != "Node"
	content, lines, err := api.DecodeObject(c.data, c.line, positions)
	if err != nil {
		line := c.line
		var s *api.SyntaxError
		if errors.As(err, &s) && s.Line > 0 {
			line = s.Line
		}
		b.unreadable(c, line, id, err.Error())
		return nil
	}
	if content == nil {
		return nil
	}
	if content["kind"] == nil && c.kind != "" {
		content["kind"], content["apiVersion"] = c.kind, c.apiVersion
	}
	return b.object(content, lines, api.Origin{File: c.file, Line: objectLine(c, lines)}, c.envelope)
}

// objectLine is the line of the first field of a document.
func objectLine(c chunk, lines map[string]int) int {
	first := 0
	for _, l := range lines {
		if first == 0 || l < first {
			first = l
		}
	}
	if first > 0 {
		return first
	}
	line := c.line
	for _, ch := range c.data {
		if ch == '\n' {
			line++
		} else if ch != ' ' && ch != '\t' && ch != '\r' {
			break
		}
	}
	return line
}

// object sorts a parsed document to where it belongs.
func (b *builder) object(content api.Content, lines map[string]int, at api.Origin, envelope bool) error {
	kind, _ := content["kind"].(string)
	version, _ := content["apiVersion"].(string)
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		return b.list(items, strings.TrimSuffix(kind, "List"), version, lines, at)
	}
	if envelope && strings.HasSuffix(kind, "List") {
		return nil
	}
	b.count.Read++
	if (kind == "" || version == "") && (kind == version || content["metadata"] == nil) {
		b.count.Irrelevant++ // values, charts, dashboards, other tools' files: no object of Kubernetes
		return nil
	}
	d := &document{apiVersion: version, content: content, origin: at, lines: lines}
	d.gk = canonical(version, kind)
	if kind == "" || version == "" {
		b.reject(d, "it has kind or apiVersion, but not both")
		return nil
	}
	id := identity{apiVersion: version, kind: kind, name: str(content, "metadata", "name"), namespace: str(content, "metadata", "namespace")}
	if !b.concerns(id) {
		b.count.Irrelevant++
		b.unrecognised(id, at.File, at.Line)
		return nil
	}
	d.name, d.namespace = id.name, id.namespace
	if d.name == "" {
		d.name = str(content, "metadata", "generateName")
	}
	if d.name == "" && d.gk.kind == "IstioOperator" {
		d.name = "unnamed" // istioctl takes it from a file, where it needs no name
	}
	if d.name == "" {
		b.reject(d, "it has no name")
		return nil
	}
	if why := impossibleName(d.gk, d.name, d.namespace); why != "" {
		b.reject(d, why)
		return nil
	}
	if clusterScoped(d.gk) {
		d.namespace = ""
	} else if d.namespace == "" {
		d.namespace = b.namespace
	}
	if d.gk == (groupKind{"", "ConfigMap"}) {
		return b.configMap(d)
	}
	return b.keep(d)
}

// list reads the items of a list that the splitter could not take apart.
func (b *builder) list(items []any, kind, version string, lines map[string]int, at api.Origin) error {
	for i, v := range items {
		prefix := fmt.Sprintf("items[%d]", i)
		o := at
		if l := lines[prefix]; l > 0 {
			o.Line = l
		}
		m, ok := v.(map[string]any)
		if !ok {
			b.unreadable(chunk{file: o.File}, o.Line, identity{}, "an item of a list is not an object")
			continue
		}
		if m["kind"] == nil && kind != "" {
			m["kind"], m["apiVersion"] = kind, version
		}
		sub := map[string]int{}
		for p, l := range lines {
			if rest, ok := strings.CutPrefix(p, prefix+"."); ok {
				sub[rest] = l
			}
		}
		if err := b.object(m, sub, o, false); err != nil {
			return err
		}
	}
	return nil
}

// concerns tells whether an inventory keeps such objects.
func (b *builder) concerns(id identity) bool {
	gk := canonical(id.apiVersion, id.kind)
	if gk == (groupKind{"", "ConfigMap"}) {
		return id.name == "istio" || strings.HasPrefix(id.name, "istio-") || id.name == ciliumConfig || id.name == ""
	}
	return b.kinds[gk] || strings.HasSuffix(id.kind, "List")
}

// canonical is the group and kind under which an object is kept: "extensions"
// of old held what moved to apps and networking.k8s.io, and Calico has two names.
func canonical(apiVersion, kind string) groupKind {
	group := api.GroupOf(apiVersion)
	if group == "projectcalico.org" {
		group = "crd.projectcalico.org" // the same objects by Calico's API server
	}
	if group == "extensions" {
		switch kind {
		case "Deployment", "DaemonSet", "ReplicaSet":
			group = "apps"
		case "Ingress", "NetworkPolicy":
			group = "networking.k8s.io"
		}
	}
	return groupKind{group, kind}
}

// clusterScoped tells whether objects of a kind that is read have no namespace.
func clusterScoped(gk groupKind) bool {
	switch gk.kind {
	case "Namespace", "Node", "GatewayClass", "CiliumClusterwideNetworkPolicy", "GlobalNetworkPolicy", "CustomResourceDefinition":
		return true
	}
	return false
}

// keep keeps an object of a kind that an inventory asks for.
func (b *builder) keep(d *document) error {
	if !b.live {
		first, err := b.once(d)
		if err != nil || !first {
			return err
		}
	}
	b.count.Kept++
	b.counts[d.gk]++
	switch d.gk {
	case groupKind{"", "Namespace"}:
		b.addNamespace(d)
	case groupKind{"", "Service"}:
		b.addService(d)
	case groupKind{"", "Pod"}:
		b.addPod(d)
	case groupKind{"", "Node"}:
		b.addNode(d)
	case groupKind{"apps", "Deployment"}, groupKind{"apps", "StatefulSet"}, groupKind{"apps", "DaemonSet"},
		groupKind{"apps", "ReplicaSet"}, groupKind{"batch", "Job"}, groupKind{"batch", "CronJob"}, groupKind{"argoproj.io", "Rollout"}:
		b.addWorkload(d)
	case groupKind{"apiextensions.k8s.io", "CustomResourceDefinition"}:
		b.addCRD(d)
	default:
		b.addObject(d)
	}
	return nil
}
