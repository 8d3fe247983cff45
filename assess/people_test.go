package assess

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func required(b bool, by string) *api.Requirement { return &api.Requirement{Required: &b, By: by} }

// Answers that contradict each other, or what is in the cluster, are said and never settled in silence.
func TestContradictions(t *testing.T) {
	strict := []api.Evidence{{Object: api.Ref{Kind: "PeerAuthentication", Namespace: "istio-system", Name: "default"}}}
	tests := []struct {
		name  string
		docs  []api.Assessment
		facts facts
		want  string
		check func(*facts) bool
	}{
		{
			name: "two answers about encryption", want: "encryption: required is true in a.yaml and false in b.yaml",
			docs: []api.Assessment{
				{File: "b.yaml", Encryption: required(false, "")},
				{File: "a.yaml", Encryption: required(true, "PCI")},
			},
			check: func(f *facts) bool { return f.encryption == notKnown },
		},
		{
			name: "not required, and the mesh is strict", want: "PeerAuthentication istio-system/default",
			docs:  []api.Assessment{{File: "a.yaml", Encryption: required(false, "")}},
			facts: facts{strict: strict},
			check: func(f *facts) bool { return f.encryption == no },
		},
		{
			name: "no identity, and policies by identity", want: "something relies on it",
			docs:  []api.Assessment{{File: "a.yaml", Identity: required(false, "")}},
			facts: facts{identityPolicies: strict},
			check: func(f *facts) bool { return f.identity == no },
		},
		{
			name: "fewer teams than labels name", want: "the larger number is taken",
			docs: []api.Assessment{{File: "a.yaml", Teams: 2}}, facts: facts{teams: 5},
			check: func(f *facts) bool { return f.teams == 5 },
		},
		{
			name: "two answers about time", want: "another answer says the opposite",
			docs: []api.Assessment{
				{File: "a.yaml", Platform: &api.PlatformTeam{People: 3, HoursPerWeek: 10}},
				{File: "b.yaml", Platform: &api.PlatformTeam{}},
			},
			check: func(f *facts) bool { return f.owned == notKnown },
		},
		{
			name: "two prices", want: "prices",
			docs: []api.Assessment{
				{File: "a.yaml", Prices: &api.Prices{Currency: "EUR", VCPUHour: 1}},
				{File: "b.yaml", Prices: &api.Prices{Currency: "USD", VCPUHour: 1}},
			},
			check: func(f *facts) bool { return f.prices.Currency == "EUR" },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.facts
			f.people(tt.docs)
			if len(f.contradictions) != 1 || !strings.Contains(f.contradictions[0], tt.want) {
				t.Errorf("contradictions %q, want one with %q", f.contradictions, tt.want)
			}
			if !tt.check(&f) {
				t.Errorf("the answer was settled the wrong way: %+v", f)
			}
		})
	}
}

// Nobody's answer is not a no; an empty list of wants is one.
func TestSilenceIsNotANo(t *testing.T) {
	f := &facts{}
	f.people([]api.Assessment{{File: "a.yaml", Platform: &api.PlatformTeam{People: 3}}})
	if f.encryption != notKnown || f.identity != notKnown || f.owned != notKnown || f.wantsSaid {
		t.Errorf("silence was taken for an answer: %+v", f)
	}
	f.people([]api.Assessment{{File: "b.yaml", Wants: []api.Want{}}})
	if !f.wantsSaid || f.wantsInside() != no {
		t.Error("an empty list of wants was not taken for an answer")
	}
}

// A requirement that the mesh does not enforce yet is said: PERMISSIVE lets plaintext in.
func TestPlaintextIsSaid(t *testing.T) {
	const words = "no PeerAuthentication demands STRICT"
	strict := []api.Evidence{{Object: api.Ref{Kind: "PeerAuthentication", Namespace: "istio-system", Name: "default"}}}
	tests := []struct {
		name  string
		facts *facts
		want  bool
	}{
		{"required, in a mesh, nothing strict", meshed(func(f *facts) { f.encryption = yes }), true},
		{"identity required", meshed(func(f *facts) { f.identity = yes }), true},
		{"required and strict", meshed(func(f *facts) { f.encryption, f.strict = yes, strict }), false},
		{"not required", meshed(func(*facts) {}), false},
		{"required, and there is no mesh", answered(func(f *facts) { f.encryption = yes }), false},
	}
	for _, tt := range tests {
		q := tt.facts.requirementQuestion()
		if got := strings.Contains(fmt.Sprint(q.Facts), words); got != tt.want {
			t.Errorf("%s: said is %v, want %v: %+v", tt.name, got, tt.want, q.Facts)
		}
	}
}
