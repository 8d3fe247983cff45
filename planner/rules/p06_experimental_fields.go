package rules

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p06 = Rule{
	ID: "P06", Title: "Experimental fields of the Gateway API",
	Doc: Doc{
		Why: "A definition of the standard channel does not have the fields that are experimental in its bundle, and the API server drops them from an object without an error, unless it is asked for " +
			"strict validation. retry of an HTTPRoute is experimental up to bundle 1.6 and standard from 1.7 on; sessionPersistence and the ExternalAuth filter are experimental in all of them; " +
			"the CORS filter is standard from 1.5 on. From 1.5 on a ValidatingAdmissionPolicy refuses to install the experimental channel over the standard one.",
		Effect: "the route is stored without the field: no retries, no session persistence, no external authorization, no CORS",
		Remedy: "install the experimental channel of the definitions from the start (with server-side apply, since they are large), or say the same with a VirtualService, which a waypoint " +
			"serves as well",
		Sources: []string{"kubernetes.io blog 2026-04-21 (Gateway API v1.5) and 2026-08-03 (v1.6)", "kubernetes-sigs/gateway-api apis/v1/httproute_types.go (gateway:experimental)"},
		Facts:   []string{"P-06", "B-15"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCRD, mesh.KindGRPCRoute, mesh.KindHTTPRoute},
	Check: checkP06,
}

// Annotations of the definitions of the Gateway API.
const (
	annotationBundle  = "gateway.networking.k8s.io/bundle-version"
	annotationChannel = "gateway.networking.k8s.io/channel"
)

func checkP06(p *Pass) {
	st := p.Mesh()
	crds := gatewayCRDs(st)
	checkChannels(p, crds)
	for _, k := range []struct {
		kind   mesh.Kind
		plural string
	}{{mesh.KindHTTPRoute, "httproutes"}, {mesh.KindGRPCRoute, "grpcroutes"}} {
		for _, o := range st.Objects(k.kind) {
			for _, f := range experimentalFields(o) {
				judgeField(p, crds[k.plural], o.Ref(), f)
			}
		}
	}
}

// gatewayCRDs are the definitions of the Gateway API by plural name.
func gatewayCRDs(st *mesh.State) map[string]*api.Object {
	out := map[string]*api.Object{}
	for _, o := range st.Objects(mesh.KindCRD) {
		if plural, ok := strings.CutSuffix(o.Name, gatewayAPIGroup); ok {
			out[plural] = o
		}
	}
	return out
}

// checkChannels reports definitions of more than one channel or bundle: each kind
// then has its own set of fields.
func checkChannels(p *Pass, crds map[string]*api.Object) {
	var kinds []string
	var ev []api.Evidence
	for _, plural := range []string{"backendtlspolicies", "gatewayclasses", "gateways", "grpcroutes", "httproutes", "referencegrants", "tcproutes", "tlsroutes", "udproutes"} {
		o := crds[plural]
		if o == nil {
			continue
		}
		a := o.Annotations()
		if a[annotationBundle] == "" && a[annotationChannel] == "" {
			continue
		}
		what := strings.TrimSpace(a[annotationBundle] + " " + a[annotationChannel])
		if !slices.Contains(kinds, what) {
			kinds = append(kinds, what)
			ev = append(ev, Field(o.Ref(), Join("metadata.annotations", annotationBundle), what))
		}
	}
	if len(kinds) > 1 {
		p.ReportWith(api.Warning, api.Ref{Kind: "Cluster", Name: "cluster"}, fmt.Sprintf("the definitions of the Gateway API are of different bundles or channels: %s", listed(kinds)),
			"each kind has its own set of fields, and istiod decides for each kind whether it reads it", "install one bundle and one channel for all kinds", ev...)
	}
}

// experimentalField of a route: what it is, where, and from which bundle on it is standard.
type experimentalField struct {
	name, path string
	standard   version // zero: in none so far
}

// experimentalFields of an HTTPRoute or GRPCRoute.
func experimentalFields(o *api.Object) []experimentalField {
	var out []experimentalField
	spec, _ := o.Content["spec"].(map[string]any)
	rules, _ := spec["rules"].([]any)
	for i, v := range rules {
		rule, _ := v.(map[string]any)
		at := fmt.Sprintf("spec.rules[%d]", i)
		if rule["retry"] != nil {
			out = append(out, experimentalField{"retry", at + ".retry", version{1, 7, 0}})
		}
		if rule["sessionPersistence"] != nil {
			out = append(out, experimentalField{"sessionPersistence", at + ".sessionPersistence", version{}})
		}
		out = append(out, experimentalFilters(rule, at)...)
		backends, _ := rule["backendRefs"].([]any)
		for j, b := range backends {
			backend, _ := b.(map[string]any)
			out = append(out, experimentalFilters(backend, fmt.Sprintf("%s.backendRefs[%d]", at, j))...)
		}
	}
	return out
}

func experimentalFilters(of map[string]any, at string) []experimentalField {
	var out []experimentalField
	filters, _ := of["filters"].([]any)
	for i, v := range filters {
		f, _ := v.(map[string]any)
		path := fmt.Sprintf("%s.filters[%d].type", at, i)
		switch f["type"] {
		case "CORS":
			out = append(out, experimentalField{"the CORS filter", path, version{1, 5, 0}})
		case "ExternalAuth":
			out = append(out, experimentalField{"the ExternalAuth filter", path, version{}})
		}
	}
	return out
}

// judgeField compares a field with the definition that the cluster has.
func judgeField(p *Pass, crd *api.Object, route api.Ref, f experimentalField) {
	ev := Field(route, f.path, "")
	if crd == nil {
		p.Unknown(route, fmt.Sprintf("whether the API server keeps %s of %s: the definition of its kind was not read", f.name, route),
			"a definition of the standard channel drops the field without an error", "take the definitions into the inventory", ev)
		return
	}
	a := crd.Annotations()
	bundle, ok := parseVersion(a[annotationBundle])
	switch {
	case a[annotationChannel] == "experimental":
	case a[annotationChannel] != "standard" || !ok:
		p.Unknown(route, fmt.Sprintf("whether the API server keeps %s of %s: %s does not say its bundle and channel", f.name, route, crd.Ref()),
			"a definition of the standard channel drops the field without an error", "install the definitions of a release of the Gateway API", ev,
			Field(crd.Ref(), "metadata.annotations", ""))
	case f.standard == version{} || bundle.less(f.standard):
		p.Report(api.Warning, route, fmt.Sprintf("%s uses %s, which the standard channel of bundle %s does not have", route, f.name, bundle), ev,
			Field(crd.Ref(), Join("metadata.annotations", annotationChannel), a[annotationChannel]))
	}
}
