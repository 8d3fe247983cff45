package mesh

import (
	"encoding/json"
	"testing"

	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestPeerAuth(t *testing.T) {
	type pa struct{ ns, name, created, spec string }
	meshStrict := pa{ns: "istio-system", name: "default", spec: `{mtls: {mode: STRICT}}`}
	cases := []struct {
		name string
		pas  []pa
		mode MTLSMode
		from string
		tied bool
		lost bool
	}{
		{name: "nothing is permissive", mode: MTLSPermissive},
		{name: "mesh", pas: []pa{meshStrict}, mode: MTLSStrict, from: "default"},
		{name: "namespace beats mesh", pas: []pa{meshStrict, {ns: "a", name: "ns", spec: `{mtls: {mode: DISABLE}}`}}, mode: MTLSDisable, from: "ns"},
		{name: "unset inherits", pas: []pa{meshStrict, {ns: "a", name: "ns", spec: `{}`}}, mode: MTLSStrict, from: "default"},
		{name: "workload beats namespace", pas: []pa{meshStrict, {ns: "a", name: "w", spec: `{selector: {matchLabels: {app: x}}, mtls: {mode: PERMISSIVE}}`}}, mode: MTLSPermissive, from: "w"},
		{name: "selector of others", pas: []pa{{ns: "a", name: "w", spec: `{selector: {matchLabels: {app: z}}, mtls: {mode: STRICT}}`}}, mode: MTLSPermissive},
		{name: "other namespace", pas: []pa{{ns: "b", name: "w", spec: `{mtls: {mode: STRICT}}`}}, mode: MTLSPermissive},
		{name: "selector in the root namespace is ignored", pas: []pa{{ns: "istio-system", name: "w", spec: `{selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}}`}}, mode: MTLSPermissive},
		{name: "the oldest wins", pas: []pa{
			{ns: "a", name: "one", created: "2026-02-01T00:00:00Z", spec: `{mtls: {mode: STRICT}}`},
			{ns: "a", name: "two", created: "2026-01-01T00:00:00Z", spec: `{mtls: {mode: DISABLE}}`},
		}, mode: MTLSDisable, from: "two"},
		{name: "no age, no answer", pas: []pa{
			{ns: "a", name: "one", created: "2026-02-01T00:00:00Z", spec: `{mtls: {mode: STRICT}}`},
			{ns: "a", name: "two", spec: `{mtls: {mode: DISABLE}}`},
		}, mode: MTLSDisable, from: "two", tied: true},
		{name: "port exemption with DISABLE alone is lost", pas: []pa{meshStrict, {ns: "a", name: "w", spec: `{selector: {matchLabels: {app: x}}, portLevelMtls: {"80": {mode: DISABLE}}}`}}, mode: MTLSStrict, from: "default", lost: true},
		{name: "one PERMISSIVE port saves it", pas: []pa{meshStrict, {ns: "a", name: "w", spec: `{selector: {matchLabels: {app: x}}, portLevelMtls: {"80": {mode: DISABLE}, "81": {mode: PERMISSIVE}}}`}}, mode: MTLSStrict, from: "default"},
		{name: "own STRICT saves it", pas: []pa{{ns: "a", name: "w", spec: `{selector: {matchLabels: {app: x}}, mtls: {mode: STRICT}, portLevelMtls: {"80": {mode: DISABLE}}}`}}, mode: MTLSStrict, from: "w"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			inv := &api.Inventory{}
			for _, p := range c.pas {
				b, err := yaml.YAMLToJSON([]byte("metadata: {creationTimestamp: \"" + p.created + "\"}\nspec: " + p.spec))
				if err != nil {
					t.Fatal(err)
				}
				var content api.Content
				if err := json.Unmarshal(b, &content); err != nil {
					t.Fatal(err)
				}
				inv.Objects = append(inv.Objects, api.Object{APIVersion: "security.istio.io/v1", Kind: "PeerAuthentication", Namespace: p.ns, Name: p.name, Content: content})
			}
			s, unknowns := New(inv)
			if len(unknowns) > 0 {
				t.Fatal(unknowns)
			}
			got := s.PeerAuth(&api.Workload{Kind: "Deployment", Namespace: "a", Name: "x", PodLabels: map[string]string{"app": "x"}})
			from := ""
			if got.From != nil {
				from = got.From.Name
			}
			if got.Mode != c.mode || from != c.from || (len(got.Tied) > 0) != c.tied || got.ExemptionLost() != c.lost {
				t.Errorf("mode %v from %q tied %d lost %v, want %v %q %v %v", got.Mode, from, len(got.Tied), got.ExemptionLost(), c.mode, c.from, c.tied, c.lost)
			}
		})
	}
}
