package proof

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"

	security "istio.io/api/security/v1beta1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// Objects with their specs decoded.
type (
	authorization = mesh.Typed[*security.AuthorizationPolicy]
	authn         = mesh.Typed[*security.RequestAuthentication]
)

// policy is one version of an AuthorizationPolicy. Two versions never share an id,
// so equal ids mean equal content.
type policy struct {
	authorization
	id int
}

// tokens is one version of a RequestAuthentication.
type tokens struct {
	authn
	id int
}

// waypoint is a Gateway of class istio-waypoint.
type waypoint struct {
	ref api.WaypointRef
	// services tells whether it takes traffic that is addressed to Services.
	services bool
	// from says whose Services it serves: All, Same or Selector.
	from     gwv1.FromNamespaces
	selector map[string]string
}

// space is one namespace in one state. It is never changed once made: a change
// makes a new one.
type space struct {
	labels    map[string]string
	services  map[string]map[string]string
	pods      map[api.Ref]map[string]string
	running   map[api.Ref]modes
	policies  []policy
	tokens    []tokens
	waypoints map[string]waypoint
	// contents are the objects of the namespace that the plan touches, as they stand.
	contents map[api.Ref]api.Content
}

func (s *space) clone() *space {
	c := *s
	c.services, c.pods, c.running, c.waypoints = maps.Clone(s.services), maps.Clone(s.pods), maps.Clone(s.running), maps.Clone(s.waypoints)
	c.policies, c.tokens, c.contents = slices.Clone(s.policies), slices.Clone(s.tokens), maps.Clone(s.contents)
	return &c
}

// world is the mesh in one state.
type world struct {
	spaces map[string]*space
	// few lie over spaces: a state inside a step differs in few namespaces.
	few map[string]*space
}

// content is what the plan's tree holds of an object in this state; nil when it
// does not hold it.
func (w world) content(ref api.Ref) api.Content {
	if s := w.space(spaceOf(ref)); s != nil {
		return s.contents[ref]
	}
	return nil
}

// space is a namespace of the state; nil when the state has none of that name.
func (w world) space(ns string) *space {
	if s, ok := w.few[ns]; ok {
		return s
	}
	return w.spaces[ns]
}

// labelsOf are the labels of a Service in this state.
func (w world) labelsOf(svc *api.Service) map[string]string {
	if l, ok := w.space(svc.Namespace).services[svc.Name]; ok {
		return l
	}
	return svc.Labels
}

// podLabels are the labels of a workload's pod template in this state.
func (w world) podLabels(wl *api.Workload) map[string]string {
	if l, ok := w.space(wl.Namespace).pods[wl.Ref()]; ok {
		return l
	}
	return wl.PodLabels
}

// today builds the world of the inventory.
func (p *prover) today() world {
	w := world{spaces: map[string]*space{}}
	at := func(ns string) *space {
		s := w.spaces[ns]
		if s == nil {
			s = newSpace()
			w.spaces[ns] = s
		}
		return s
	}
	for i := range p.st.Namespaces() {
		at(p.st.Namespaces()[i].Name).labels = p.st.Namespaces()[i].Labels
	}
	for i := range p.st.Services() {
		at(p.st.Services()[i].Namespace)
	}
	for i := range p.st.Workloads() {
		at(p.st.Workloads()[i].Namespace)
	}
	for _, a := range p.st.AuthorizationPolicies() {
		s := at(a.Namespace)
		s.policies = append(s.policies, policy{a, p.versionOf(a.Ref(), a.Content)})
	}
	for _, r := range p.st.RequestAuthentications() {
		s := at(r.Namespace)
		s.tokens = append(s.tokens, tokens{r, p.versionOf(r.Ref(), r.Content)})
	}
	for _, g := range p.st.K8sGateways() {
		if wp, ok := asWaypoint(g.Namespace, g.Name, g.Labels(), g.Spec); ok {
			at(g.Namespace).waypoints[g.Name] = wp
		}
	}
	for _, b := range p.in.Base {
		at(spaceOf(b.Object)).contents[b.Object] = b.Content
	}
	at(p.st.RootNamespace())
	return w
}

// version numbers the versions of objects.
func (p *prover) version() int { p.versions++; return p.versions }

// spaceOf is the namespace in which a change of an object is felt first.
func spaceOf(ref api.Ref) string {
	if ref.Kind == "Namespace" && ref.Group == "" {
		return ref.Name
	}
	return ref.Namespace
}

// advance makes the world at the end of a step.
func (p *prover) advance(w world, changes []api.Change) world {
	over := p.apply(w, changes)
	out := world{spaces: maps.Clone(w.spaces)}
	maps.Copy(out.spaces, over.few)
	return out
}

// op is what a change does, also when a person does it.
func op(c api.Change) api.Op {
	if c.Op == api.OpManual {
		return c.Does
	}
	return c.Op
}

// apply lays some changes of a step over the world at its start. A pod template
// that changes together with its namespace restarts its pods before or after the
// namespace has changed.
func (p *prover) apply(w world, changes []api.Change) world {
	out := world{spaces: w.spaces, few: map[string]*space{}}
	var templates []api.Change
	for _, c := range changes {
		switch op(c) {
		case api.OpCreate, api.OpPatch, api.OpFragment:
		case api.OpDelete:
			c.After = nil
		case api.OpManual, api.OpUnset:
			continue
		}
		ns := spaceOf(c.Object)
		if out.few[ns] == nil {
			if old := w.spaces[ns]; old != nil {
				out.few[ns] = old.clone()
			} else {
				out.few[ns] = newSpace()
			}
		}
		before := out.few[ns].contents[c.Object]
		if c.After == nil {
			delete(out.few[ns].contents, c.Object)
		} else {
			out.few[ns].contents[c.Object] = c.After
		}
		if wl := p.workloads[c.Object]; wl != nil {
			path := mesh.TemplateLabels(wl.Kind)
			out.few[ns].pods[c.Object] = over(out.podLabels(wl), stringsAt(before, path...), stringsAt(c.After, path...))
			templates = append(templates, c)
			continue
		}
		p.applyObject(out.few[ns], c, before)
	}
	for _, c := range templates {
		wl := p.workloads[c.Object]
		running := only(p.fresh(out, wl, out.space(wl.Namespace).labels))
		if old := w.space(wl.Namespace); old != nil {
			running |= only(p.fresh(out, wl, old.labels))
		}
		out.few[wl.Namespace].running[c.Object] = running
	}
	return out
}

func newSpace() *space {
	return &space{services: map[string]map[string]string{}, pods: map[api.Ref]map[string]string{}, running: map[api.Ref]modes{}, waypoints: map[string]waypoint{}, contents: map[api.Ref]api.Content{}}
}

// applyObject applies a change of an object that is not a workload to the
// namespace where it is felt.
func (p *prover) applyObject(s *space, c api.Change, before api.Content) {
	switch c.Object.Group + "/" + c.Object.Kind {
	case "/Namespace":
		s.labels = over(s.labels, stringsAt(before, "metadata", "labels"), stringsAt(c.After, "metadata", "labels"))
	case "/Service":
		if svc := p.st.Service(c.Object.Namespace, c.Object.Name); svc != nil {
			labels, ok := s.services[svc.Name]
			if !ok {
				labels = svc.Labels
			}
			s.services[svc.Name] = over(labels, stringsAt(before, "metadata", "labels"), stringsAt(c.After, "metadata", "labels"))
		}
	case "security.istio.io/AuthorizationPolicy":
		s.policies = slices.DeleteFunc(s.policies, func(o policy) bool { return o.Name == c.Object.Name })
		if c.After != nil {
			if o := p.parse(c); o.policy != nil {
				s.policies = append(s.policies, *o.policy)
			}
		}
	case "security.istio.io/RequestAuthentication":
		s.tokens = slices.DeleteFunc(s.tokens, func(o tokens) bool { return o.Name == c.Object.Name })
		if c.After != nil {
			if o := p.parse(c); o.tokens != nil {
				s.tokens = append(s.tokens, *o.tokens)
			}
		}
	case "gateway.networking.k8s.io/Gateway":
		delete(s.waypoints, c.Object.Name)
		if c.After != nil {
			if t, ok := decode(p, c.Object, c.After, &gwv1.GatewaySpec{}); ok {
				if wp, ok := asWaypoint(t.Namespace, t.Name, t.Labels(), t.Spec); ok {
					s.waypoints[t.Name] = wp
				}
			}
		}
	}
}

// followed tells whether the model knows what a change of an object does. A
// NetworkPolicy that is added can only admit more, and what it admits is checked
// by mutual TLS; disruption budgets and parameters of waypoints decide nothing
// about requests.
func (p *prover) followed(c api.Change) bool {
	if p.workloads[c.Object] != nil {
		return true
	}
	if mesh.RoutingObject(c.Object.Group, c.Object.Kind) {
		// A fragment says only a part, and routes that concern no Service with pods are
		// not evaluated.
		return c.Op != api.OpFragment && p.reroute != nil && len(p.reroute.concerns[c.Object]) > 0
	}
	if c.Object.Kind == "Service" && c.Object.Group == "" && p.st.Service(c.Object.Namespace, c.Object.Name) == nil {
		// A new name for pods. Called by it they are reached as by their addresses, past
		// every waypoint; a waypoint before it would not hold to the rules of another Service.
		return stringsAt(c.After, "metadata", "labels")[mesh.LabelUseWaypoint] == "none" || c.After == nil
	}
	switch c.Object.Group + "/" + c.Object.Kind {
	case "/Namespace", "/Service", "security.istio.io/AuthorizationPolicy", "security.istio.io/RequestAuthentication", "gateway.networking.k8s.io/Gateway":
		return true
	case "policy/PodDisruptionBudget", "autoscaling/HorizontalPodAutoscaler", "/ConfigMap", "/Cluster":
		return true
	case "telemetry.istio.io/Telemetry":
		// It changes what is recorded of requests, not what becomes of them.
		return true
	case "networking.k8s.io/NetworkPolicy":
		return p.start.content(c.Object) == nil
	}
	return false
}

// asWaypoint reads a Gateway as a waypoint. Source: facts E-18, M-31.
func asWaypoint(ns, name string, labels map[string]string, spec *gwv1.GatewaySpec) (waypoint, bool) {
	if spec.GatewayClassName != "istio-waypoint" {
		return waypoint{}, false
	}
	w := waypoint{ref: api.WaypointRef{Name: name, Namespace: ns}, from: gwv1.NamespacesFromSame}
	switch labels[mesh.LabelWaypointFor] {
	case "", "service", "all":
		w.services = true
	}
	for _, l := range spec.Listeners {
		if l.Port != 15008 || l.AllowedRoutes == nil || l.AllowedRoutes.Namespaces == nil || l.AllowedRoutes.Namespaces.From == nil {
			continue
		}
		w.from = *l.AllowedRoutes.Namespaces.From
		if sel := l.AllowedRoutes.Namespaces.Selector; sel != nil {
			w.selector = sel.MatchLabels
			if len(sel.MatchExpressions) > 0 {
				// Not evaluated: nobody of another namespace is taken to be served.
				w.from = gwv1.NamespacesFromSame
			}
		}
	}
	return w, true
}

// serves tells whether a waypoint takes Services of a namespace.
func (wp waypoint) serves(ns string, labels map[string]string) bool {
	switch {
	case !wp.services:
		return false
	case wp.ref.Namespace == ns || wp.from == gwv1.NamespacesFromAll:
		return true
	}
	return wp.from == gwv1.NamespacesFromSelector && mesh.Selects(wp.selector, labels)
}

// decode reads the spec of a version of an object. What does not decode is noted.
func decode[T any](p *prover, ref api.Ref, c api.Content, spec T) (mesh.Typed[T], bool) {
	v, _ := c["apiVersion"].(string)
	t := mesh.Typed[T]{Object: &api.Object{APIVersion: v, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, Content: c}, Spec: spec}
	if c["spec"] == nil {
		return t, true
	}
	b, err := json.Marshal(c["spec"])
	if err == nil {
		err = json.Unmarshal(b, spec)
	}
	if err != nil {
		p.broken[ref] = err.Error()
		return t, false
	}
	return t, true
}

// parsed is a version of an object, decoded once.
type parsed struct {
	policy *policy
	tokens *tokens
}

// parse decodes the content that a change gives to a policy.
func (p *prover) parse(c api.Change) parsed {
	k := reflect.ValueOf(c.After).Pointer()
	if o, ok := p.parsed[k]; ok {
		return o
	}
	var o parsed
	if c.Object.Kind == "AuthorizationPolicy" {
		if t, ok := decode(p, c.Object, c.After, &security.AuthorizationPolicy{}); ok {
			o.policy = &policy{t, p.versionOf(c.Object, c.After)}
		}
	} else if t, ok := decode(p, c.Object, c.After, &security.RequestAuthentication{}); ok {
		o.tokens = &tokens{t, p.versionOf(c.Object, c.After)}
	}
	p.parsed[k] = o
	return o
}

// versionOf gives equal contents of one object equal ids, so that a rollback
// leads to a state that is known.
func (p *prover) versionOf(ref api.Ref, c api.Content) int {
	meta, _ := c["metadata"].(map[string]any)
	b, err := json.Marshal([]any{c["spec"], meta["annotations"]})
	if err != nil {
		return p.version()
	}
	k := ref.String() + " " + string(b)
	id, ok := p.known[k]
	if !ok {
		id = p.version()
		p.known[k] = id
	}
	return id
}

// over replaces the fields that a fragment holds: those that it held go, those
// that it holds now come.
func over(labels, before, now map[string]string) map[string]string {
	out := maps.Clone(labels)
	if out == nil {
		out = map[string]string{}
	}
	for k := range before {
		delete(out, k)
	}
	maps.Copy(out, now)
	return out
}

func stringsAt(c api.Content, path ...string) map[string]string {
	m := map[string]any(c)
	for _, p := range path {
		m, _ = m[p].(map[string]any)
	}
	out := map[string]string{}
	for k, v := range m {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
