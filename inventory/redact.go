package inventory

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Redact replaces the names in an inventory by others, the same name by the same one:
// those of namespaces, workloads, Services, service accounts, objects, clusters, owners,
// the values of labels, the parts of host names, and files. What Istio and Kubernetes
// give a meaning to stays, and so do paths, header names and other values of rules. The
// new names sort as the old ones do, so that a plan of the result is the same plan. They
// are made from the order alone: nothing leads back to the old ones.
func Redact(inv *api.Inventory) (*api.Inventory, error) {
	b, err := json.Marshal(inv)
	if err != nil {
		return nil, err
	}
	var doc any
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	r := &redactor{words: map[string]string{}, files: map[string]string{}}
	r.collect(inv)
	r.hosts(doc)
	r.number()
	if b, err = json.Marshal(r.value(doc, "")); err != nil {
		return nil, err
	}
	out, err := api.Decode[api.Inventory]("redacted", strings.NewReader(string(b)))
	if err != nil {
		return nil, fmt.Errorf("the redacted inventory: %w", err)
	}
	return out, nil
}

// kept are words with a meaning to Istio or Kubernetes, and to readers of host names.
var kept = regexp.MustCompile(`^(istio.*|kube-.*|default|kubernetes|ztunnel|waypoint|cilium.*|calico.*|cluster|local|svc|mesh|gateway|ingressgateway|egressgateway|` +
	`http|https|http2|grpc|grpc-web|tcp|tls|udp|mongo|redis|mysql|true|false|enabled|disabled|none|all|ambient|com|org|net|io|dev|app|example|www|api|` +
	`observed|declared|possible|cluster-local|helm|[a-z]|[a-z]?[0-9.]+)$`)

// structural are fields whose values are words of the document, not names.
var structural = map[string]bool{
	"apiVersion": true, "kind": true, "group": true, "state": true, "provenance": true, "protocol": true, "transport": true, "appProtocol": true,
	"type": true, "os": true, "by": true, "cpu": true, "memory": true, "version": true, "kubernetesVersion": true, "resourceVersion": true,
	"gatewayClassName": true, "targetPort": true, "id": true, "key": true,
}

// word is what names are made of.
var word = regexp.MustCompile(`[A-Za-z0-9][A-Za-z0-9_-]*`)

// hostName finds names with dots.
var hostName = regexp.MustCompile(`[A-Za-z0-9*_-]+(\.[A-Za-z0-9_-]+)+`)

type redactor struct {
	words map[string]string
	files map[string]string
}

// name adds all words of a name.
func (r *redactor) name(names ...string) {
	for _, n := range names {
		for _, w := range word.FindAllString(n, -1) {
			if !kept.MatchString(w) {
				r.words[w] = ""
			}
		}
	}
}

// file adds a file.
func (r *redactor) file(o api.Origin) {
	if o.File != "" && o.File != fromCluster && o.File != "stdin" {
		r.files[o.File] = ""
	}
}

// collect finds the names that stand where names do.
func (r *redactor) collect(inv *api.Inventory) {
	owner := func(o *api.Owner) {
		if o != nil {
			r.name(o.Name)
		}
	}
	labels := func(m map[string]string) {
		for k, v := range m {
			if domain, _, ok := strings.Cut(k, "/"); !ok || !strings.HasSuffix(domain, "istio.io") {
				r.name(v)
			}
		}
	}
	for i := range inv.Clusters {
		r.name(inv.Clusters[i].Name)
	}
	for i := range inv.Namespaces {
		n := &inv.Namespaces[i]
		r.name(n.Name)
		labels(n.Labels)
		labels(n.Annotations)
		owner(n.Owner)
		r.file(n.Origin)
	}
	for i := range inv.Workloads {
		w := &inv.Workloads[i]
		r.name(w.Name, w.ServiceAccount)
		r.name(w.Containers...)
		labels(w.Labels)
		labels(w.PodLabels)
		owner(w.Owner)
		r.file(w.Origin)
	}
	for i := range inv.Services {
		s := &inv.Services[i]
		r.name(s.Name, s.ExternalName)
		labels(s.Labels)
		labels(s.Annotations)
		labels(s.Selector)
		owner(s.Owner)
		r.file(s.Origin)
	}
	for i := range inv.Objects {
		o := &inv.Objects[i]
		r.file(o.Origin)
		if o.Kind == "CustomResourceDefinition" || o.Kind == "GatewayClass" {
			continue
		}
		r.name(o.Name)
		labels(o.Labels())
		owner(o.Owner)
	}
	for i := range inv.Unknowns {
		r.name(inv.Unknowns[i].Subject.Name, inv.Unknowns[i].Subject.Namespace)
	}
}

// public are host names that say nothing about anybody.
var public = regexp.MustCompile(`(^|\.)(istio\.io|k8s\.io|x-k8s\.io|kubernetes\.io|cluster\.local|svc|ambientplan\.dev|argoproj\.io|cilium\.io|projectcalico\.org|flagger\.app|helm\.sh|openshift\.io)$|^[0-9.]+$`)

// hosts finds host names wherever they stand, and adds their parts.
func (r *redactor) hosts(v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			if !structural[k] && k != "origin" && k != "source" && k != "path" {
				r.hosts(c)
			}
		}
	case []any:
		for _, c := range v {
			r.hosts(c)
		}
	case string:
		for _, h := range hostName.FindAllString(v, -1) {
			if !public.MatchString(h) {
				r.name(h)
			}
		}
	}
}

// number gives every word and file its new name, in the order of the old ones.
func (r *redactor) number() {
	give := func(m map[string]string, format string) {
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		width := len(fmt.Sprint(len(keys)))
		for i, k := range keys {
			m[k] = fmt.Sprintf(format, width, i+1)
		}
	}
	give(r.words, "n%0*d")
	give(r.files, "file-%0*d.yaml")
}

// text replaces every word that is a name.
func (r *redactor) text(s string) string {
	if f, ok := r.files[s]; ok {
		return f
	}
	if at, line, ok := strings.Cut(s, ":"); ok {
		if f, known := r.files[at]; known {
			return f + ":" + r.text(line)
		}
	}
	return word.ReplaceAllStringFunc(s, func(w string) string {
		if n, ok := r.words[w]; ok {
			return n
		}
		return w
	})
}

// value replaces names in a document. Keys stay: those of labels are spelled in selectors
// in more than one way.
func (r *redactor) value(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, c := range v {
			if _, text := c.(string); text && k == "name" && (key == "ports" || key == "port") {
				out[k] = c // a port; Services name those of containers
				continue
			}
			out[k] = r.value(c, k)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, c := range v {
			out[i] = r.value(c, key)
		}
		return out
	case string:
		if structural[key] {
			return v
		}
		return r.text(v)
	}
	return v
}
