package agree

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	security "istio.io/api/security/v1beta1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/internal/corpora"
	"github.com/ambientplan/ambientplan/inventory"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

// TestCorpora compares each workload of each mesh that has policies: at its sidecar
// and its ztunnel with the policies as they are attached, and at a waypoint as if
// they were attached to its Service.
func TestCorpora(t *testing.T) {
	meshes, err := corpora.Meshes("../../../testdata/corpora")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []string{"bookinfo", "online-boutique"} {
		meshes = append(meshes, corpora.Mesh{Name: "examples/" + e, Paths: []string{"../../../examples/" + e + "/cluster"}})
	}
	compared := 0
	for _, m := range meshes {
		t.Run(m.Name, func(t *testing.T) {
			inv, err := inventory.Read(t.Context(), inventory.Options{Paths: m.Paths, DefaultNamespace: m.Namespace})
			if err != nil {
				if m.Contradictory {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			state, _ := mesh.New(inv)
			if len(state.AuthorizationPolicies()) == 0 {
				return
			}
			compared += compareMesh(t, state)
		})
	}
	t.Logf("%d workloads with policies compared", compared)
	if compared < 20 {
		t.Errorf("only %d workloads have policies: are the corpora read?", compared)
	}
}

// compareMesh compares all workloads of a mesh and returns how many have policies.
func compareMesh(t *testing.T, state *mesh.State) int {
	t.Helper()
	c := istiod.Config{Mesh: istiod.MeshOf(state)}
	for _, p := range state.AuthorizationPolicies() {
		c.Policies = append(c.Policies, istiod.Policy{Namespace: p.Namespace, Name: p.Name, Annotations: p.Annotations(), Spec: p.Spec})
	}
	docs := map[string]bool{}
	for _, p := range c.Mesh.ExtensionProviders {
		docs[istiod.Authorizer(p)] = true
	}
	var proxies []istiod.Proxy
	var workloads []*api.Workload
	all := state.Workloads()
	for i := range all {
		if w := &all[i]; len(state.PoliciesFor(w)) > 0 {
			doc, proxy := podOf(w, len(proxies))
			docs[doc], docs[sidecarOf(w.Namespace)] = true, true
			proxies, workloads = append(proxies, proxy), append(workloads, w)
		}
	}
	delete(docs, "")
	if len(workloads) == 0 {
		for _, d := range compare(t, plain, attached(state, nil)) {
			t.Error(d)
		}
		return 0
	}
	for d := range docs {
		c.YAML += "\n---\n" + d
	}
	server := istiod.Start(t, c)
	sent, authorizations := server.Workloads(), server.Authorizations()
	for i, w := range workloads {
		z := sent[w.Namespace+"/"+proxies[i].Name]
		if z == nil {
			t.Fatalf("ztunnel has no workload %s/%s", w.Namespace, proxies[i].Name)
		}
		policies := state.PoliciesFor(w)
		s := corpusSet{set{name: w.Namespace + "/" + w.Name}, policies, state}
		for _, p := range workloadPlaces(t, state, policies, server.Chains(proxies[i]), istiod.AuthorizationsOf(z, authorizations)) {
			if d := s.first(t, p); d != "" {
				t.Error(d)
			}
		}
	}
	for _, d := range compare(t, plain, attached(state, workloads)) {
		t.Error(d)
	}
	return len(workloads)
}

// attached are the policies of each workload, and each policy with targetRefs by
// itself, to be attached to a Service.
func attached(state *mesh.State, workloads []*api.Workload) []set {
	var out []set
	seen := map[string]bool{}
	add := func(name string, list []mesh.Typed[*security.AuthorizationPolicy]) {
		s, key := set{name: name}, ""
		for _, p := range list {
			spec := p.Spec.DeepCopy()
			spec.Selector, spec.TargetRef, spec.TargetRefs = nil, nil, nil
			dry, _ := strconv.ParseBool(p.Annotations()[mesh.AnnotationDryRun])
			s.doubtful = s.doubtful || dry && spec.Action == security.AuthorizationPolicy_CUSTOM
			s.policies = append(s.policies, policy{spec, dry})
			key += p.Ref().String() + "\n"
		}
		if !seen[key] {
			seen[key] = true
			out = append(out, s)
		}
	}
	for _, w := range workloads {
		add(w.Namespace+"/"+w.Name, state.PoliciesFor(w))
	}
	for _, p := range state.AuthorizationPolicies() {
		if mesh.HasTargetRef(p.Spec) {
			add(p.Ref().String(), []mesh.Typed[*security.AuthorizationPolicy]{p})
		}
	}
	return out
}

func sidecarOf(ns string) string {
	return fmt.Sprintf(`apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: agree, namespace: %[1]s}
spec: {egress: [{hosts: ["~/*"]}]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: agree, namespace: %[1]s}
spec: {jwtRules: [{issuer: i, jwks: '{"keys":[]}'}]}`, ns)
}

// podOf is a pod of a workload with a Service that has a port of each kind.
func podOf(w *api.Workload, i int) (doc string, p istiod.Proxy) {
	p = istiod.Proxy{Namespace: w.Namespace, Name: fmt.Sprintf("agree-%d", i), IP: fmt.Sprintf("10.0.%d.%d", 1+i/250, 1+i%250), Labels: map[string]string{"agree": strconv.Itoa(i)}}
	labels := "agree: " + strconv.Quote(strconv.Itoa(i))
	for k, v := range w.PodLabels {
		p.Labels[k] = v
		labels += ", " + strconv.Quote(k) + ": " + strconv.Quote(v)
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: %[2]s}
spec:
  clusterIP: 10.96.%[3]d.%[4]d
  selector: {agree: "%[5]d"}
  ports: [{name: http, port: 8080, targetPort: 8080}, {name: tcp, port: 9090, targetPort: 9090}]
---
apiVersion: v1
kind: Pod
metadata: {name: %[1]s, namespace: %[2]s, labels: {%[6]s}, annotations: {ambient.istio.io/redirection: enabled}}
spec: {serviceAccountName: default, nodeName: node, containers: [{name: app, image: example.com/app}]}
status: {phase: Running, podIP: %[7]s, podIPs: [{ip: %[7]s}], conditions: [{type: Ready, status: "True"}]}`,
		p.Name, w.Namespace, 1+i/250, 1+i%250, i, labels, p.IP), p
}

// corpusSet is a workload of a mesh that somebody wrote.
type corpusSet struct {
	set
	typed []mesh.Typed[*security.AuthorizationPolicy]
	state *mesh.State
}

// first finds a request about which a place is judged differently: of every cell,
// from every caller and to every port that the policies name.
func (s corpusSet) first(t *testing.T, p place) string {
	t.Helper()
	who, _ := mesh.Callers(s.typed, s.state.AuthzSettings(), "default")
	who = append(slices.Clone(callers), who...)
	numbers := portsOf(s.typed)
	cells, ok := mesh.Space{Policies: s.typed, Callers: who, Ports: numbers, Settings: s.state.AuthzSettings(), Limit: 20000}.Cells(mesh.Request{})
	if !ok {
		t.Errorf("%s: not divided into cells", s.name)
	}
	for _, r := range cells {
		if !r.Source.IsValid() {
			r.Source = someSource
		}
		if !r.Destination.IsValid() {
			r.Destination = someDestination
		}
		for _, r.Port = range numbers {
			for _, r.Principal = range who {
				got := p.mesh(r)
				want, err := p.istiod(r)
				if err != nil {
					return fmt.Sprintf("%s at %s: %v", s.name, p.name, err)
				}
				if got.Outcome != want {
					return fmt.Sprintf("%s at %s: mesh says %v (%s), istiod's configuration %v of %+v", s.name, p.name, got.Outcome, got.By, want, r)
				}
			}
		}
	}
	return ""
}

// portsOf are the ports that policies name, and one that none does.
func portsOf(policies []mesh.Typed[*security.AuthorizationPolicy]) []uint16 {
	out := []uint16{61234}
	add := func(values []string) {
		for _, v := range values {
			if p, err := strconv.ParseUint(v, 10, 16); err == nil && p > 0 && !slices.Contains(out, uint16(p)) {
				out = append(out, uint16(p))
			}
		}
	}
	for _, p := range policies {
		for _, r := range p.Spec.GetRules() {
			for _, to := range r.GetTo() {
				add(to.GetOperation().GetPorts())
				add(to.GetOperation().GetNotPorts())
			}
			for _, w := range r.GetWhen() {
				if w.GetKey() == "destination.port" {
					add(w.GetValues())
					add(w.GetNotValues())
				}
			}
		}
	}
	return out
}
