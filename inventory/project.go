package inventory

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func (b *builder) addNamespace(d *document) {
	if at := str(d.content, "metadata", "deletionTimestamp"); at != "" {
		ref := d.ref(b.cluster)
		b.unknowns = append(b.unknowns, api.Unknown{
			ID: TerminatingNamespace, Subject: ref,
			What:     fmt.Sprintf("%s is being deleted since %s", ref, at),
			Could:    "what is in it may be gone when the plan is carried out, and nothing can be created in it",
			Action:   "wait until it is gone, or find which finalizer holds it, and take the inventory again",
			Evidence: []api.Evidence{{Object: ref, Path: "metadata.deletionTimestamp", Value: at, Source: d.origin.At("metadata")}},
		})
	}
	b.namespaces = append(b.namespaces, api.Namespace{
		Cluster: b.cluster, Name: d.name,
		Labels:      stringMap(d.content, "metadata", "labels"),
		Annotations: meshAnnotations(stringMap(d.content, "metadata", "annotations")),
		Owner:       ownerOf(d.content),
		Origin:      d.at("metadata.name", "metadata.labels", "metadata.annotations"),
	})
}

func (b *builder) addService(d *document) {
	c := d.content
	s := api.Service{
		Cluster: b.cluster, Namespace: d.namespace, Name: d.name,
		Labels:              stringMap(c, "metadata", "labels"),
		Annotations:         meshAnnotations(stringMap(c, "metadata", "annotations")),
		Type:                str(c, "spec", "type"),
		Headless:            str(c, "spec", "clusterIP") == "None",
		ExternalName:        str(c, "spec", "externalName"),
		Selector:            stringMap(c, "spec", "selector"),
		PublishNotReady:     truth(c, "spec", "publishNotReadyAddresses"),
		TrafficDistribution: str(c, "spec", "trafficDistribution"),
		Owner:               ownerOf(c),
		Origin: d.at("metadata.name", "metadata.labels", "metadata.annotations", "spec.type", "spec.clusterIP", "spec.externalName",
			"spec.selector", "spec.ports", "spec.publishNotReadyAddresses", "spec.trafficDistribution"),
	}
	if s.Type == "" {
		s.Type = "ClusterIP"
	}
	for _, p := range objects(c, "spec", "ports") {
		port, ok := number(p, "port")
		if !ok {
			continue
		}
		sp := api.ServicePort{
			Name: str(p, "name"), Port: port, TargetPort: scalar(p["targetPort"]),
			Transport: str(p, "protocol"), AppProtocol: str(p, "appProtocol"),
		}
		if sp.Transport == "" {
			sp.Transport = "TCP"
		}
		var app *string
		if _, ok := p["appProtocol"].(string); ok {
			app = &sp.AppProtocol
		}
		sp.Protocol = resolveProtocol(sp.Port, sp.Name, sp.Transport, app)
		s.Ports = append(s.Ports, sp)
	}
	b.services = append(b.services, s)
}

// addObject keeps an object whole, without status, without what only the API
// server writes (uid, resourceVersion, generation, selfLink, managedFields) and
// without kubectl's copy of it. creationTimestamp stays: Istio lets the older
// of two policies win.
func (b *builder) addObject(d *document) {
	c := make(api.Content, len(d.content))
	for k, v := range d.content {
		if k == "status" {
			continue
		}
		c[k] = v
	}
	if d.gk == meshConfigKind() || d.gk.kind == "IstioOperator" {
		c["spec"] = withoutTokens(c["spec"])
	}
	owner := ownerOf(d.content)
	if meta, ok := authoredMetadata(c["metadata"]).(map[string]any); ok {
		if t := str(d.content, "metadata", "creationTimestamp"); t != "" {
			meta["creationTimestamp"] = t
		}
		if d.namespace != "" {
			meta["namespace"] = d.namespace
		}
		c["metadata"] = meta
	}
	version := d.apiVersion
	if api.GroupOf(version) != d.gk.group {
		_, v, _ := strings.Cut(version, "/")
		version = d.gk.group + "/" + v
	}
	b.objects = append(b.objects, api.Object{
		Cluster: b.cluster, APIVersion: version, Kind: d.gk.kind, Namespace: d.namespace, Name: d.name,
		Content: c, Owner: owner,
		Origin: d.at("spec", "metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations"),
	})
}

// addCRD keeps of a CustomResourceDefinition what tells versions apart: its
// schema is long and configures nothing.
func (b *builder) addCRD(d *document) {
	annotations := map[string]any{}
	for _, k := range []string{"gateway.networking.k8s.io/bundle-version", "gateway.networking.k8s.io/channel"} {
		if v := str(d.content, "metadata", "annotations", k); v != "" {
			annotations[k] = v
		}
	}
	meta := map[string]any{"name": d.name}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	spec := map[string]any{}
	for _, k := range []string{"group", "names", "scope"} {
		if v := get(d.content, "spec", k); v != nil {
			spec[k] = v
		}
	}
	var versions []any
	for _, v := range objects(d.content, "spec", "versions") {
		if v != nil {
			versions = append(versions, map[string]any{"name": str(v, "name"), "served": truth(v, "served"), "storage": truth(v, "storage")})
		}
	}
	if versions == nil && str(d.content, "spec", "version") != "" { // v1beta1
		versions = append(versions, map[string]any{"name": str(d.content, "spec", "version"), "served": true, "storage": true})
	}
	if versions != nil {
		spec["versions"] = versions
	}
	b.objects = append(b.objects, api.Object{
		Cluster: b.cluster, APIVersion: d.apiVersion, Kind: d.gk.kind, Name: d.name,
		Content: api.Content{"apiVersion": d.apiVersion, "kind": d.gk.kind, "metadata": meta, "spec": spec},
		Owner:   ownerOf(d.content),
		Origin:  d.at("metadata.name", "metadata.annotations", "spec.group", "spec.names"),
	})
}

// addNode counts a node by its shape.
func (b *builder) addNode(d *document) {
	shape := api.NodeShape{
		OS:     str(d.content, "status", "nodeInfo", "operatingSystem"),
		CPU:    scalar(get(d.content, "status", "capacity", "cpu")),
		Memory: str(d.content, "status", "capacity", "memory"),
	}
	if shape.OS == "" {
		shape.OS = str(d.content, "metadata", "labels", "kubernetes.io/os")
	}
	b.nodes[shape]++
	b.addPlatform(d)
	version := strings.TrimPrefix(str(d.content, "status", "nodeInfo", "kubeletVersion"), "v")
	if newerVersion(version, b.version) {
		b.version = version
	}
}

// newerVersion compares versions like "1.37.2-gke.1" by their numbers. A kubelet
// is never newer than its API server, so the newest kubelet is the best that
// nodes tell of the cluster's version.
func newerVersion(v, than string) bool {
	if v == "" || than == "" {
		return v != ""
	}
	numbers := func(s string) []int {
		s, _, _ = strings.Cut(s, "-")
		s, _, _ = strings.Cut(s, "+")
		var out []int
		for _, part := range strings.Split(s, ".") {
			n, err := strconv.Atoi(part)
			if err != nil {
				break
			}
			out = append(out, n)
		}
		return out
	}
	if c := slices.Compare(numbers(v), numbers(than)); c != 0 {
		return c > 0
	}
	return v > than // equal numbers: any fixed choice will do
}
