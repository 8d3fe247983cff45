package status

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// answer of a question, with what was seen.
type answer struct {
	result api.CheckResult
	seen   string
}

func ok(format string, args ...any) answer {
	return answer{api.CheckOK, fmt.Sprintf(format, args...)}
}

func not(format string, args ...any) answer {
	return answer{api.CheckNot, fmt.Sprintf(format, args...)}
}

func unknown(format string, args ...any) answer {
	return answer{api.CheckUnknown, fmt.Sprintf(format, args...)}
}

// labelManaged marks what a plan makes.
const (
	labelManaged = "app.kubernetes.io/managed-by"
	managedBy    = "ambientplan"
)

// proxyContainer is the container of sidecars and gateways.
const proxyContainer = "istio-proxy"

// answer asks what was read.
func (j *judge) answer(a api.Ask, done int) answer {
	switch a.Kind {
	case api.AskProgrammed:
		return j.programmed(a.Object)
	case api.AskBound:
		return j.conditions(a.Object, want{"istio.io/WaypointBound", "WaypointAccepted"})
	case api.AskAccepted:
		return j.accepted(a.Object.Name)
	case api.AskRoute:
		return j.route(a.Object)
	case api.AskRolledOut:
		return j.rolledOut(a.Object)
	case api.AskSidecars:
		return j.sidecars(a.Object.Name, done)
	case api.AskNoSidecars:
		return j.noSidecars(a.Object.Name)
	case api.AskNodes:
		return j.nodes()
	case api.AskHBONE:
		return j.hbone()
	case api.AskIstiod:
		return j.istiod()
	case api.AskUnset:
	}
	return unknown("this version does not know the question %q", a.Kind)
}

// unread says why nothing is known of a kind; "" when it was read in full.
func (j *judge) unread(group, kind string) string {
	for _, c := range j.Now.Coverage {
		if c.Group == group && c.Kind == kind {
			if c.State.Known() {
				return ""
			}
			return strings.TrimSpace(fmt.Sprintf("%s could not be read (%s) %s", kind, c.State, c.Reason))
		}
	}
	return kind + " was not asked for"
}

// object finds one; the answer is set when there is none.
func (j *judge) object(ref api.Ref) (api.Content, *answer) {
	if o := j.Objects[anyCluster(ref)]; o != nil {
		return o, nil
	}
	if why := j.unread(ref.Group, ref.Kind); why != "" {
		a := unknown("%s", why)
		return nil, &a
	}
	a := not("%s is not there", ref)
	return nil, &a
}

// want is a condition that must be True; with a reason that must be this one.
type want struct{ kind, reason string }

// conditions asks for conditions of an object, of its present generation.
func (j *judge) conditions(ref api.Ref, wants ...want) answer {
	o, none := j.object(ref)
	if none != nil {
		return *none
	}
	status, _ := o["status"].(map[string]any)
	return holds(ref.String(), status, generation(o), wants)
}

func generation(o api.Content) int64 {
	meta, _ := o["metadata"].(map[string]any)
	return number(meta["generation"])
}

// number reads an integer of any type; 0 when it is none. Istio's conditions carry their
// observedGeneration as a string: istio.io/api writes them as protobuf's JSON, whose int64
// are strings (meta/v1alpha1/status.proto; the CRDs allow both).
func number(v any) int64 {
	switch n := v.(type) {
	case int64:
		return n
	case int32:
		return int64(n)
	case int:
		return int64(n)
	case float64:
		return int64(n)
	case string:
		i, err := strconv.ParseInt(n, 10, 64)
		if err != nil {
			return 0
		}
		return i
	}
	return 0
}

// holds looks for conditions in a status. One of an older generation speaks of what the
// object was before.
func holds(name string, status map[string]any, now int64, wants []want) answer {
	list, _ := status["conditions"].([]any)
	for _, w := range wants {
		i := slices.IndexFunc(list, func(v any) bool { m, _ := v.(map[string]any); return m["type"] == w.kind })
		if i < 0 {
			return not("%s has no condition %s yet", name, w.kind)
		}
		c, _ := list[i].(map[string]any)
		state, _ := c["status"].(string)
		reason, _ := c["reason"].(string)
		message, _ := c["message"].(string)
		seen := number(c["observedGeneration"])
		if _, there := c["observedGeneration"]; there && seen == 0 && now != 0 {
			return unknown("%s: it cannot be read of which generation condition %s is", name, w.kind)
		}
		if seen != 0 && now != 0 && seen < now {
			return not("%s: condition %s is of generation %d, and the object is of %d", name, w.kind, seen, now)
		}
		if state != "True" || w.reason != "" && reason != w.reason {
			return not("%s: condition %s is %s, reason %s: %s", name, w.kind, orNone(state), orNone(reason), message)
		}
	}
	return ok("%s: %s", name, conditionWords(wants))
}

func orNone(s string) string {
	if s == "" {
		return "not set"
	}
	return s
}

func conditionWords(wants []want) string {
	var out []string
	for _, w := range wants {
		s := w.kind + "=True"
		if w.reason != "" {
			s += " (" + w.reason + ")"
		}
		out = append(out, s)
	}
	return strings.Join(out, ", ")
}

// leastWaypointPods are those that a waypoint must have ready before anybody is sent to it.
const leastWaypointPods = 2

// programmed asks for a waypoint: the Gateway's conditions, and the pods of the Deployment
// that istiod makes for it under its name.
func (j *judge) programmed(gateway api.Ref) answer {
	if a := j.conditions(gateway, want{"Accepted", ""}, want{"Programmed", ""}); a.result != api.CheckOK {
		return a
	}
	deployment := api.Ref{Group: "apps", Kind: "Deployment", Namespace: gateway.Namespace, Name: gateway.Name}
	o, none := j.object(deployment)
	if none != nil {
		return *none
	}
	status, _ := o["status"].(map[string]any)
	if ready := number(status["readyReplicas"]); ready < leastWaypointPods {
		return not("Gateway %s/%s is programmed, and %d pods of its Deployment are ready; %d are wanted", gateway.Namespace, gateway.Name, ready, leastWaypointPods)
	}
	return ok("programmed, %d pods ready", number(status["readyReplicas"]))
}

// accepted asks for all policies that the plan made in a namespace and attached to a
// waypoint. True with another reason than Accepted is not fine: a rule may be ignored.
func (j *judge) accepted(namespace string) answer {
	const group, kind = "security.istio.io", "AuthorizationPolicy"
	if why := j.unread(group, kind); why != "" {
		return unknown("%s", why)
	}
	n := 0
	for _, ref := range j.refs(group, kind, namespace) {
		o := j.Objects[ref]
		meta, _ := o["metadata"].(map[string]any)
		labels, _ := meta["labels"].(map[string]any)
		spec, _ := o["spec"].(map[string]any)
		targets, _ := spec["targetRefs"].([]any)
		if labels[labelManaged] != managedBy || len(targets) == 0 {
			continue
		}
		n++
		if a := j.conditions(ref, want{"WaypointAccepted", "Accepted"}); a.result != api.CheckOK {
			return a
		}
	}
	return ok("%d policies are accepted", n)
}

// refs are the objects of a kind in a namespace, sorted.
func (j *judge) refs(group, kind, namespace string) []api.Ref {
	var out []api.Ref
	for ref := range j.Objects {
		if ref.Group == group && ref.Kind == kind && ref.Namespace == namespace {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, api.Ref.Compare)
	return out
}

// route asks for a route: every parent must accept it and find its backends.
func (j *judge) route(ref api.Ref) answer {
	o, none := j.object(ref)
	if none != nil {
		return *none
	}
	status, _ := o["status"].(map[string]any)
	parents, _ := status["parents"].([]any)
	if len(parents) == 0 {
		return not("%s has no parent that answered yet", ref)
	}
	spec, _ := o["spec"].(map[string]any)
	if asked, _ := spec["parentRefs"].([]any); len(parents) < len(asked) {
		return not("%s: %d of %d parents have answered", ref, len(parents), len(asked))
	}
	for _, p := range parents {
		m, _ := p.(map[string]any)
		if a := holds(ref.String(), m, generation(o), []want{{"Accepted", ""}, {"ResolvedRefs", ""}, {"ResolvedWaypoints", ""}}); a.result != api.CheckOK {
			return a
		}
	}
	return ok("accepted by %d parents", len(parents))
}

// rolledOut asks for a workload that has cut over: its controller is done, and every pod
// is captured and has no sidecar.
func (j *judge) rolledOut(ref api.Ref) answer {
	o, none := j.object(ref)
	if none != nil {
		return *none
	}
	if a := finished(ref, o); a.result != api.CheckOK {
		return a
	}
	w := j.workloads[anyCluster(ref)]
	if why := j.unread("", "Pod"); why != "" {
		return unknown("%s", why)
	}
	if w == nil {
		return unknown("the inventory has no workload %s", ref)
	}
	p := w.Pods
	status, _ := o["status"].(map[string]any)
	ready := max(number(status["readyReplicas"]), number(status["numberReady"]))
	switch {
	case ready > int64(p.Total-p.Done):
		return unknown("%s has %d pods ready, and %d of its pods were seen", ref, ready, p.Total-p.Done)
	case p.Sidecar > 0:
		return not("%d of %d pods have a sidecar", p.Sidecar, p.Total)
	case p.Uncaptured > 0:
		return not("%d of %d pods have no sidecar and are not captured by ztunnel", p.Uncaptured, p.Total)
	}
	return ok("%d pods, all captured by ztunnel", p.Ambient)
}

// finished tells whether a controller has replaced all pods, as `kubectl rollout status`
// does.
func finished(ref api.Ref, o api.Content) answer {
	spec, _ := o["spec"].(map[string]any)
	status, _ := o["status"].(map[string]any)
	if seen := number(status["observedGeneration"]); seen < generation(o) {
		return not("the controller has not seen the change of %s yet", ref)
	}
	var desired, updated, ready int64
	switch ref.Kind {
	case "DaemonSet":
		desired, updated, ready = number(status["desiredNumberScheduled"]), number(status["updatedNumberScheduled"]), number(status["numberReady"])
	case "Deployment", "StatefulSet", "Rollout":
		desired = 1
		if v, there := spec["replicas"]; there {
			desired = number(v)
		}
		updated, ready = number(status["updatedReplicas"]), number(status["readyReplicas"])
		if total := number(status["replicas"]); total > updated {
			return not("%d old pods of %s are left", total-updated, ref)
		}
	default:
		return unknown("it is not known how far the rollout of a %s is", ref.Kind)
	}
	if updated < desired || ready < desired {
		return not("%d of %d pods of %s are new, %d are ready", updated, desired, ref, ready)
	}
	return ok("rolled out")
}

// sidecars asks whether the workloads of a namespace that have not cut over keep theirs.
func (j *judge) sidecars(namespace string, done int) answer {
	if why := j.unread("", "Pod"); why != "" {
		return unknown("%s", why)
	}
	n := 0
	for _, ref := range j.moving() {
		w := j.workloads[ref]
		if ref.Namespace != namespace || j.moves[ref] < done || w == nil {
			continue
		}
		if left := w.Pods.Total - w.Pods.Done - w.Pods.Sidecar; left > 0 {
			return not("%d of %d pods of %s have no sidecar", left, w.Pods.Total, ref)
		}
		n++
	}
	return ok("the pods of %d workloads have their sidecars", n)
}

// noSidecars asks whether a pod of a workload that moves has a sidecar left.
func (j *judge) noSidecars(namespace string) answer {
	if why := j.unread("", "Pod"); why != "" {
		return unknown("%s", why)
	}
	for _, ref := range j.moving() {
		if w := j.workloads[ref]; ref.Namespace == namespace && w != nil && w.Pods.Sidecar > 0 {
			return not("%d pods of %s have a sidecar", w.Pods.Sidecar, ref)
		}
	}
	return ok("no pod of a workload that moves has a sidecar")
}

// moving are the workloads that the plan cuts over, sorted.
func (j *judge) moving() []api.Ref {
	out := make([]api.Ref, 0, len(j.moves))
	for ref := range j.moves {
		out = append(out, ref)
	}
	slices.SortFunc(out, api.Ref.Compare)
	return out
}

// nodes asks whether ztunnel and istio-cni run on every node.
func (j *judge) nodes() answer {
	if why := j.unread("apps", "DaemonSet"); why != "" {
		return unknown("%s", why)
	}
	var seen []string
	for _, name := range []string{"ztunnel", "istio-cni-node"} {
		i := slices.IndexFunc(j.components(), func(c api.Component) bool { return c.Name == name })
		if i < 0 {
			return not("there is no DaemonSet %s", name)
		}
		ref := j.components()[i].Ref
		o, none := j.object(ref)
		if none != nil {
			return *none
		}
		if a := finished(ref, o); a.result != api.CheckOK {
			return a
		}
		status, _ := o["status"].(map[string]any)
		if number(status["desiredNumberScheduled"]) == 0 {
			return not("DaemonSet %s/%s runs on no node", ref.Namespace, ref.Name)
		}
		seen = append(seen, fmt.Sprintf("%s on %d nodes", name, number(status["numberReady"])))
	}
	return ok("%s", strings.Join(seen, ", "))
}

func (j *judge) components() []api.Component {
	if len(j.Now.Clusters) == 0 {
		return nil
	}
	return j.Now.Clusters[0].Components
}

// hbone asks whether a sidecar is left that does not accept HBONE.
func (j *judge) hbone() answer {
	if why := j.unread("", "Pod"); why != "" {
		return unknown("%s", why)
	}
	n := 0
	for i := range j.Now.Workloads {
		w := &j.Now.Workloads[i]
		if len(w.Containers) > 0 && !slices.ContainsFunc(w.Containers, func(c string) bool { return c != proxyContainer }) {
			continue // a gateway or waypoint, which is nothing but a proxy
		}
		if old := w.Pods.Sidecar - w.Pods.HBONE; old > 0 {
			return not("%d of %d sidecars of %s do not accept HBONE", old, w.Pods.Sidecar, w.Ref())
		}
		n += w.Pods.Sidecar
	}
	return ok("%d sidecars accept HBONE", n)
}

// istiod asks whether every control plane is set up for ambient mode.
func (j *judge) istiod() answer {
	if why := j.unread("apps", "Deployment"); why != "" {
		return unknown("%s", why)
	}
	if len(j.Now.Clusters) == 0 || len(j.Now.Clusters[0].Istiods) == 0 {
		return not("there is no istiod")
	}
	for _, d := range j.Now.Clusters[0].Istiods {
		if v := d.Flags["PILOT_ENABLE_AMBIENT"]; v != "true" {
			return not("%s has PILOT_ENABLE_AMBIENT %s", d.Ref, orNone(v))
		}
	}
	return ok("PILOT_ENABLE_AMBIENT=true at %d of them", len(j.Now.Clusters[0].Istiods))
}
