package rules_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/planner/rules"
)

// load reads manifests into an inventory, in the order of the files or in a
// shuffled one; lines and names stay those of the files.
func load(t *testing.T, files map[string][]byte, shuffle *rand.Rand) *api.Inventory {
	t.Helper()
	type doc struct {
		file, text string
		line       int
	}
	var docs []doc
	for _, name := range slices.Sorted(maps.Keys(files)) {
		line, start := 1, 1
		var text strings.Builder
		for l := range strings.Lines(string(files[name]) + "\n---\n") {
			if strings.TrimSpace(l) == "---" {
				docs = append(docs, doc{name, text.String(), start})
				text.Reset()
				start = line + 1
			} else {
				text.WriteString(l)
			}
			line++
		}
	}
	if shuffle != nil {
		shuffle.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
	}
	inv := &api.Inventory{Clusters: []api.Cluster{{}}}
	for _, d := range docs {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte(d.text), &n); err != nil {
			t.Fatalf("%s:%d: %v", d.file, d.line, err)
		}
		if n.Kind == 0 {
			continue
		}
		o := api.Origin{File: d.file, Line: d.line, Fields: map[string]int{}}
		lines(n.Content[0], "", d.line-1, o.Fields)
		b, err := sigsyaml.YAMLToJSON([]byte(d.text))
		if err != nil {
			t.Fatal(err)
		}
		place(t, inv, b, o)
	}
	slices.SortFunc(inv.Namespaces, func(a, b api.Namespace) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(inv.Services, func(a, b api.Service) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(inv.Workloads, func(a, b api.Workload) int { return a.Ref().Compare(b.Ref()) })
	slices.SortFunc(inv.Objects, func(a, b api.Object) int { return a.Ref().Compare(b.Ref()) })
	return inv
}

// lines notes the line of every field.
func lines(n *yaml.Node, path string, offset int, into map[string]int) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			p := n.Content[i].Value
			if path != "" {
				p = rules.Join(path, p)
			}
			into[p] = n.Content[i].Line + offset
			lines(n.Content[i+1], p, offset, into)
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			p := fmt.Sprintf("%s[%d]", path, i)
			into[p] = c.Line + offset
			lines(c, p, offset, into)
		}
	}
}

type podTemplate struct {
	Metadata struct {
		Labels      map[string]string
		Annotations map[string]string
	}
	Spec struct {
		ServiceAccountName string
		HostNetwork        bool
		Containers         []struct {
			Name  string
			Ports []struct {
				Name          string
				ContainerPort int32
				Protocol      string
			}
		}
	}
}

// place adds one object to the inventory.
func place(t *testing.T, inv *api.Inventory, b []byte, o api.Origin) {
	var head struct {
		APIVersion, Kind string
		Metadata         struct {
			Name, Namespace     string
			Labels, Annotations map[string]string
		}
		Spec struct {
			Replicas  *int32
			Template  podTemplate
			Selector  json.RawMessage
			Type      string
			ClusterIP string
			Ports     []struct {
				Name, Protocol, AppProtocol string
				Port                        int32
				TargetPort                  any
			}
		}
	}
	if err := json.Unmarshal(b, &head); err != nil {
		var c api.Content
		_ = json.Unmarshal(b, &c)
		if c["kind"] == nil {
			t.Fatalf("%s:%d: %v", o.File, o.Line, err)
		}
	}
	m := head.Metadata
	switch head.Kind {
	case api.KindInventory:
		placeInventory(t, inv, b, o)
	case "Namespace":
		inv.Namespaces = append(inv.Namespaces, api.Namespace{Name: m.Name, Labels: m.Labels, Annotations: m.Annotations, Origin: o})
	case "Service":
		s := api.Service{Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, Annotations: m.Annotations,
			Type: head.Spec.Type, Headless: head.Spec.ClusterIP == "None", Origin: o}
		_ = json.Unmarshal(head.Spec.Selector, &s.Selector)
		for _, p := range head.Spec.Ports {
			sp := api.ServicePort{Name: p.Name, Port: p.Port, Transport: p.Protocol, AppProtocol: p.AppProtocol}
			if p.TargetPort != nil {
				sp.TargetPort = fmt.Sprint(p.TargetPort)
			}
			s.Ports = append(s.Ports, sp)
		}
		inv.Services = append(inv.Services, s)
	case "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod":
		tpl := head.Spec.Template
		w := api.Workload{Group: api.GroupOf(head.APIVersion), Kind: head.Kind, APIVersion: head.APIVersion,
			Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, ServiceAccount: tpl.Spec.ServiceAccountName,
			PodLabels: tpl.Metadata.Labels, PodAnnotations: tpl.Metadata.Annotations, Replicas: head.Spec.Replicas,
			HostNetwork: tpl.Spec.HostNetwork, Origin: o}
		for _, c := range tpl.Spec.Containers {
			w.Containers = append(w.Containers, c.Name)
			for _, p := range c.Ports {
				w.Ports = append(w.Ports, api.ContainerPort{Name: p.Name, Port: p.ContainerPort, Protocol: p.Protocol})
			}
		}
		inv.Workloads = append(inv.Workloads, w)
	default:
		var c api.Content
		if err := json.Unmarshal(b, &c); err != nil {
			t.Fatalf("%s:%d: %v", o.File, o.Line, err)
		}
		inv.Objects = append(inv.Objects, api.Object{APIVersion: head.APIVersion, Kind: head.Kind,
			Namespace: m.Namespace, Name: m.Name, Content: c, Origin: o})
	}
}

// placeInventory adds what manifests cannot say: the cluster, and what is
// really in the pods. Each item has the line of its place in the lists.
func placeInventory(t *testing.T, inv *api.Inventory, b []byte, o api.Origin) {
	var part api.Inventory
	if err := json.Unmarshal(b, &part); err != nil {
		t.Fatalf("%s:%d: %v", o.File, o.Line, err)
	}
	if len(part.Clusters) > 0 {
		inv.Clusters = part.Clusters
	}
	for i, w := range part.Workloads {
		w.Origin = api.Origin{File: o.File, Line: o.Fields[fmt.Sprintf("workloads[%d]", i)]}
		inv.Workloads = append(inv.Workloads, w)
	}
	if len(part.Namespaces)+len(part.Services)+len(part.Objects)+len(part.Edges) > 0 {
		t.Fatalf("%s:%d: only clusters and workloads can stand in an Inventory of a case", o.File, o.Line)
	}
}
