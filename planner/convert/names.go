package convert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/translate"
)

// maxServiceName is the length of a DNS label.
const maxServiceName = 63

// names gives names that depend on what they are for and on what exists, not on the order of the work.
type names struct {
	st *mesh.State
	// shared are names of version Services that two pairs of service and subset would have, by namespace and name.
	shared map[string]bool
	// taken are the names of routes and DestinationRules that exist and are not ours, by kind, namespace and name.
	taken map[string]bool
}

func newNames(st *mesh.State) *names {
	n := &names{st: st, shared: map[string]bool{}, taken: map[string]bool{}}
	by := map[string]map[[2]string]bool{}
	for _, r := range st.DestinationRules() {
		svc, _ := st.ServiceByHost(st.ResolveHost(r.Spec.GetHost(), r.Namespace), "")
		if svc == nil {
			continue
		}
		for _, s := range r.Spec.GetSubsets() {
			key := svc.Namespace + "/" + plainVersion(svc.Name, s.GetName())
			if by[key] == nil {
				by[key] = map[[2]string]bool{}
			}
			by[key][[2]string{svc.Name, s.GetName()}] = true
		}
	}
	for key, pairs := range by {
		n.shared[key] = len(pairs) > 1
	}
	for _, k := range []mesh.Kind{mesh.KindHTTPRoute, mesh.KindGRPCRoute, mesh.KindTCPRoute, mesh.KindTLSRoute, mesh.KindDestinationRule} {
		for _, o := range st.Objects(k) {
			if o.Labels()[translate.LabelManaged] != translate.ManagedBy {
				n.taken[routeKey(o.Kind, o.Namespace, o.Name)] = true
			}
		}
	}
	return n
}

func routeKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

func plainVersion(service, subset string) string { return service + "-" + subset }

// version names the Service of a subset, "reviews-v2"; the second result tells that it exists already, with the same
// pods and ports. Where the name is too long, no DNS label or taken, a hash of both names makes it another.
func (n *names) version(svc *api.Service, subset string, selector map[string]string) (string, bool) {
	name := plainVersion(svc.Name, subset)
	if len(name) <= maxServiceName && isLabel(name) && !n.shared[svc.Namespace+"/"+name] {
		other := n.st.Service(svc.Namespace, name)
		if other == nil {
			return name, false
		}
		if standsIn(other, selector, svc.Ports) {
			return name, true
		}
	}
	for i := 0; ; i++ {
		suffix := "-" + hash(fmt.Sprintf("%s/%s/%d", svc.Name, subset, i))
		name = label(plainVersion(svc.Name, subset))
		name = strings.TrimRight(name[:min(len(name), maxServiceName-len(suffix))], "-") + suffix
		if other := n.st.Service(svc.Namespace, name); other == nil {
			return name, false
		} else if standsIn(other, selector, svc.Ports) {
			return name, true
		}
	}
}

// standsIn tells whether a Service that exists has the pods and ports that are asked for.
func standsIn(svc *api.Service, selector map[string]string, ports []api.ServicePort) bool {
	spelled := func(in []api.ServicePort) []api.ServicePort {
		out := slices.Clone(in)
		for i := range out {
			out[i].TargetPort = cmp.Or(out[i].TargetPort, fmt.Sprint(out[i].Port))
			out[i].Transport = cmp.Or(out[i].Transport, "TCP")
		}
		slices.SortFunc(out, func(a, b api.ServicePort) int {
			return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Transport, b.Transport))
		})
		return out
	}
	return maps.Equal(svc.Selector, selector) && slices.Equal(spelled(svc.Ports), spelled(ports)) && !svc.Headless && svc.ExternalName == ""
}

// route names a route: after its service when it is the only one of its kind for all ports, else with port, number and
// a hash.
func (n *names) route(kind string, t target, port int32, number int) string {
	base := label(t.ref.Name)
	plain := t.ref.Kind == "Service" && port == 0 && number == 0 && base == t.ref.Name && len(base) <= maxServiceName
	if plain && !n.taken[routeKey(kind, t.ref.Namespace, base)] {
		return base
	}
	for i := 0; ; i++ {
		suffix := ""
		if port != 0 {
			suffix += fmt.Sprintf("-%d", port)
		}
		if number != 0 {
			suffix += fmt.Sprintf("-part%d", number+1)
		}
		suffix += "-" + hash(fmt.Sprintf("%s/%s/%s/%d/%d/%d", kind, t.ref, t.host, port, number, i))
		name := strings.TrimRight(base[:min(len(base), maxServiceName-len(suffix))], "-") + suffix
		if !n.taken[routeKey(kind, t.ref.Namespace, name)] && n.st.Service(t.ref.Namespace, name) == nil {
			return name
		}
	}
}

// rule names the DestinationRule of a version Service.
func (n *names) rule(v *version) string {
	name := v.name
	for i := 0; n.taken[routeKey("DestinationRule", v.service.Namespace, name)]; i++ {
		suffix := "-" + hash(fmt.Sprintf("DestinationRule/%s/%d", v.name, i))
		name = v.name[:min(len(v.name), maxServiceName-len(suffix))] + suffix
	}
	return name
}

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// isLabel tells whether a name is a DNS label that begins with a letter, as names of Services are.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxServiceName && label(s) == s
}

// label makes a DNS label of a name, without its length.
func label(s string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('-')
		}
	}
	out := strings.Trim(b.String(), "-")
	if out == "" || out[0] < 'a' {
		out = strings.TrimRight("r-"+out, "-")
	}
	return out
}
