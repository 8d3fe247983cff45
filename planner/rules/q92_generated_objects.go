package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var q92 = Rule{
	ID: "Q92", Title: "Objects that somebody else writes",
	Doc: Doc{
		Why: "What a controller generates it also writes back: a label or a route that is changed on the object itself is gone at the next reconciliation. What Helm, Argo CD or Flux apply " +
			"is written back at the next upgrade or sync.",
		Effect: "a change of the plan on such an object is undone, in the middle of the migration or after it",
		Remedy: "make the change where the owner takes it from: the spec of the owning object, the values of the Helm release, the repository of the application; the plan lists each such " +
			"change with its owner instead of applying it",
		Sources: []string{"kubernetes.io: Owners and Dependents", "helm.sh: Chart labels and annotations", "argo-cd.readthedocs.io: Resource tracking", "fluxcd.io: Kustomization"},
		Facts:   []string{"Q-92"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindDestinationRule, mesh.KindNamespace, mesh.KindNetworkPolicy, mesh.KindPeerAuthentication,
		mesh.KindRequestAuthentication, mesh.KindService, mesh.KindServiceEntry, mesh.KindTelemetry, mesh.KindVirtualService, mesh.KindWasmPlugin, mesh.KindWorkload,
	},
	Check: checkQ92,
}

// owned is what one owner writes.
type owned struct {
	owner api.Owner
	refs  []api.Ref
}

func checkQ92(p *Pass) {
	groups := map[string]*owned{}
	add := func(o *api.Owner, ref api.Ref) {
		if o == nil {
			return
		}
		key := strings.Join([]string{o.By, o.Name, scopeOfOwner(o, ref)}, "\x00")
		if groups[key] == nil {
			groups[key] = &owned{owner: *o}
		}
		groups[key].refs = append(groups[key].refs, ref)
	}
	eachOwned(p.Mesh(), add)
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		reportOwner(p, groups[key])
	}
}

// scopeOfOwner tells owners of one name apart: an owning object is in the
// namespace of what it owns.
func scopeOfOwner(o *api.Owner, ref api.Ref) string {
	if o.By == "controller" || o.By == "operator" {
		return namespaceOf(ref)
	}
	return ""
}

// eachOwned calls f for each object that a plan may change.
func eachOwned(st *mesh.State, f func(*api.Owner, api.Ref)) {
	for i := range st.Workloads() {
		if w := &st.Workloads()[i]; st.InMesh(w) {
			f(w.Owner, w.Ref())
		}
	}
	for i := range st.Services() {
		if s := &st.Services()[i]; inMesh(st, s) {
			f(s.Owner, s.Ref())
		}
	}
	for i := range st.Namespaces() {
		n := &st.Namespaces()[i]
		f(n.Owner, n.Ref())
	}
	for _, k := range []mesh.Kind{
		mesh.KindAuthorizationPolicy, mesh.KindDestinationRule, mesh.KindNetworkPolicy, mesh.KindPeerAuthentication, mesh.KindRequestAuthentication,
		mesh.KindServiceEntry, mesh.KindTelemetry, mesh.KindVirtualService, mesh.KindWasmPlugin,
	} {
		for _, o := range st.Objects(k) {
			f(o.Owner, o.Ref())
		}
	}
}

// reportOwner writes one finding for all that an owner writes. Objects of a
// controller are a warning, since the plan cannot know whether the controller has
// a field for the change; where the plan needs one, that is a blocker of the plan.
func reportOwner(p *Pass, o *owned) {
	slices.SortFunc(o.refs, api.Ref.Compare)
	var names []string
	var ev []api.Evidence
	for _, r := range o.refs {
		names = append(names, r.String())
		if len(ev) < maxListed {
			ev = append(ev, Field(r, "metadata.name", o.owner.Evidence))
		}
	}
	name := cmp.Or(o.owner.Name, "whose name is not known")
	where, severity := "", api.Info
	switch o.owner.By {
	case "argocd":
		where = "the repository of the Argo CD application " + name
	case "flux":
		where = "the repository of the Flux object " + name
	case "helm":
		where = "the values of the Helm release " + name
	default:
		where, severity = name+", which generates them", api.Warning
		if controllerOfPods(o.refs) {
			severity = api.Info
		}
	}
	p.ReportWith(severity, o.refs[0], fmt.Sprintf("%d objects that a plan may change are written by %s (%s): %s", len(o.refs), o.owner.By, name, listed(names)),
		"a change of an object itself is written back by its owner",
		"change them in "+where+"; the plan lists such a change for a person, with its owner, instead of applying it", ev...)
}

// controllerOfPods tells whether only workloads are owned: the plan restarts them,
// which leaves what the owner writes alone.
func controllerOfPods(refs []api.Ref) bool {
	return !slices.ContainsFunc(refs, func(r api.Ref) bool { return mesh.KindOf(r.Group, r.Kind) != mesh.KindWorkload })
}
