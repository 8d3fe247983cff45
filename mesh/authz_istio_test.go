package mesh

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// matchShape is one match that ztunnel gets: how many values each field has.
type matchShape map[string]int

// TestAuthzAgreesWithIstiod compares the clauses of a policy with what istiod's
// own golden files say it sends to ztunnel.
func TestAuthzAgreesWithIstiod(t *testing.T) {
	inputs, err := filepath.Glob(filepath.Join("testdata", "istio-ambient", "*-in.yaml"))
	if err != nil || len(inputs) < 3 {
		t.Fatalf("%d inputs, %v", len(inputs), err)
	}
	for _, in := range inputs {
		t.Run(filepath.Base(in), func(t *testing.T) {
			var content api.Content
			decodeYAML(t, in, &content)
			s, unknowns := New(&api.Inventory{Objects: []api.Object{{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy", Namespace: "a", Name: "p", Content: content}}})
			if len(unknowns) > 0 {
				t.Fatal(unknowns)
			}
			got := [][][]matchShape{}
			for _, r := range Authz(s.AuthorizationPolicies()[0]).Rules {
				if r.Dropped {
					continue
				}
				group := [][]matchShape{}
				for _, c := range r.clauses {
					var clause []matchShape
					for _, m := range c {
						shape := matchShape{}
						for _, f := range m {
							shape[sentAs(f)] += len(f.Values)
						}
						clause = append(clause, shape)
					}
					group = append(group, clause)
				}
				got = append(got, group)
			}
			var golden struct {
				Groups []struct {
					Rules []struct{ Matches []map[string][]any }
				}
			}
			decodeYAML(t, strings.TrimSuffix(in, "-in.yaml")+".yaml", &golden)
			want := [][][]matchShape{}
			for _, g := range golden.Groups {
				group := [][]matchShape{}
				for _, r := range g.Rules {
					var clause []matchShape
					for _, m := range r.Matches {
						shape := matchShape{}
						for k, v := range m {
							shape[k] = len(v)
						}
						clause = append(clause, shape)
					}
					group = append(group, clause)
				}
				want = append(want, group)
			}
			// istiod sorts clauses and matches in its golden; the order means nothing.
			for _, groups := range [][][][]matchShape{want, got} {
				for _, g := range groups {
					for _, c := range g {
						slices.SortFunc(c, compareJSON)
					}
					slices.SortFunc(g, compareJSON)
				}
				slices.SortFunc(groups, compareJSON)
			}
			if d := gocmp.Diff(want, got); d != "" {
				t.Errorf("-istiod +mesh:\n%s", d)
			}
		})
	}
}

// sentAs is the name of a field in istiod's message to ztunnel.
func sentAs(f AuthzField) string {
	name := strings.TrimPrefix(f.Name, "not")
	name = strings.ToLower(name[:1]) + name[1:]
	for from, to := range map[string]string{
		"ports": "destinationPorts", "ipBlocks": "sourceIps", "source.ip": "sourceIps", "source.namespace": "namespaces",
		"source.principal": "principals", "destination.ip": "destinationIps", "destination.port": "destinationPorts",
	} {
		if name == from {
			name = to
			break
		}
	}
	if f.Negative {
		return "not" + strings.ToUpper(name[:1]) + name[1:]
	}
	return name
}

func compareJSON[T any](a, b T) int {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return cmp.Compare(string(x), string(y))
}

func decodeYAML(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
