package assess

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// answered is a cluster without a mesh of which people have answered everything, none of it in favour of one.
func answered(change func(*facts)) *facts {
	f := &facts{
		mesh: meshNone, clusters: 1, services: 12, teams: 1, encryption: no, identity: no, owned: yes,
		wantsSaid: true, inside: map[capabilityGroup]int{}, earlierServices: -1, earlierCross: -1,
	}
	change(f)
	return f
}

// meshed is a mesh of sidecars that is in use, of which all namespaces can move and less is asked for.
func meshed(change func(*facts)) *facts {
	return answered(func(f *facts) {
		f.mesh, f.sidecars, f.services, f.teams = meshSidecar, 80, 40, 5
		f.moving, f.saves, f.insideServices = 6, yes, 9
		f.inside = map[capabilityGroup]int{groupRouting: 9}
		change(f)
	})
}

func TestDecide(t *testing.T) {
	tests := []struct {
		name  string
		facts *facts
		want  api.AssessmentVerdict
		// because is a part of the first reason.
		because string
	}{
		{"no mesh, nothing needs one", answered(func(*facts) {}), api.Stay, "nothing that was found or answered needs a mesh"},
		{"a rule demands encryption", answered(func(f *facts) { f.encryption, f.requirements = yes, []string{"encryption: PCI"} }), api.AdoptAmbient, "PCI"},
		{"a rule demands encryption and Cilium is there", answered(func(f *facts) { f.encryption, f.cilium = yes, true }), api.UseCilium, "not identities"},
		{"a rule demands identity and Cilium is there", answered(func(f *facts) { f.identity, f.cilium = yes, true }), api.AdoptAmbient, "authenticate each other"},
		{"a rule demands identity and nobody has time", answered(func(f *facts) { f.identity, f.owned = yes, no }), api.Stay, "find them first"},
		{"nobody has time", answered(func(f *facts) { f.services, f.teams, f.owned, f.wants = 200, 9, no, []api.Want{api.WantShifting} }), api.Stay, "nobody has time"},
		{"problems at the edge", answered(func(f *facts) { f.services, f.wants = 60, []api.Want{api.WantEdgeLimits, api.WantPartners} }), api.UseGateway, "from outside"},
		{"Cilium covers it", answered(func(f *facts) { f.cilium, f.wants = true, []api.Want{api.WantPolicy} }), api.UseCilium, "service-policy"},
		{"many services of many teams with problems between them", answered(func(f *facts) { f.services, f.teams, f.wants = 30, 3, []api.Want{api.WantShifting} }), api.AdoptAmbient, "30 services"},
		{"few services that want retries", answered(func(f *facts) { f.wants = []api.Want{api.WantResilience} }), api.UseLibraries, "12 services"},
		{"few services that want canaries", answered(func(f *facts) { f.wants = []api.Want{api.WantShifting} }), api.Stay, "nothing"},
		{"another mesh", answered(func(f *facts) { f.mesh, f.otherMesh = meshOther, "Linkerd" }), api.Stay, "Linkerd"},
		{"ambient already", answered(func(f *facts) { f.mesh = meshAmbient }), api.Stay, "already"},
		{"nothing tells whether there is a mesh", answered(func(f *facts) { f.mesh = meshNotKnown }), api.ItDepends, "not known"},

		{"a mesh that can move", meshed(func(*facts) {}), api.AdoptAmbient, "all 6 namespaces"},
		{"one namespace keeps its sidecars", meshed(func(f *facts) { f.keeping = 1 }), api.MigrateSome, "6 namespaces can move"},
		{"one namespace saves nothing", meshed(func(f *facts) { f.little = 1 }), api.MigrateSome, "6 namespaces can move"},
		{"none can move", meshed(func(f *facts) { f.moving, f.keeping = 0, 6 }), api.Stay, "no namespace can move"},
		{"none saves anything", meshed(func(f *facts) { f.moving, f.little = 0, 6 }), api.Stay, "as much afterwards"},
		{"big nodes, few sidecars", meshed(func(f *facts) { f.saves = no }), api.Stay, "too few sidecars"},
		{"nobody has time to migrate", meshed(func(f *facts) { f.owned = no }), api.Stay, "half way"},
		{"a small mesh that nothing uses", meshed(func(f *facts) { f.services, f.insideServices, f.inside = 6, 0, nil }), api.RemoveMesh, "no policy, no route"},
		{"a small mesh that nothing uses, and a rule", meshed(func(f *facts) {
			f.services, f.insideServices, f.inside, f.encryption = 6, 0, nil, yes
		}), api.AdoptAmbient, "all 6"},
		{"a small mesh that demands mutual TLS", meshed(func(f *facts) {
			f.services, f.insideServices, f.inside, f.strict = 6, 0, nil, []api.Evidence{{}}
		}), api.AdoptAmbient, "all 6"},
		{"a big mesh that nothing uses", meshed(func(f *facts) { f.insideServices, f.inside = 0, nil }), api.AdoptAmbient, "all 6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := decide(tt.facts)
			if got.verdict != tt.want {
				t.Errorf("verdict %s, want %s: %v", got.verdict, tt.want, got.because)
			}
			if len(got.because) == 0 || !strings.Contains(got.because[0].What, tt.because) {
				t.Errorf("reasons %v, want %q in the first", got.because, tt.because)
			}
			for _, b := range got.because {
				if b.Weight == api.WeightUnset || b.What == "" {
					t.Errorf("a reason without weight or words: %+v", b)
				}
			}
		})
	}
}

// A verdict must not rest on what nobody said.
func TestUnknownIsNoAnswer(t *testing.T) {
	f := meshed(func(f *facts) { f.owned, f.saves = notKnown, notKnown })
	r := &api.AssessmentReport{}
	judge(r, f)
	if r.Verdict != api.ItDepends {
		t.Fatalf("verdict %s, want it to depend", r.Verdict)
	}
	want := []api.Alternative{
		{If: "nobody has time to run it", Verdict: api.Stay},
		{If: "ambient mode asks for more", Verdict: api.Stay},
		{If: "somebody has time to run it, and ambient mode asks for less", Verdict: api.AdoptAmbient},
	}
	for i := range r.Depends {
		r.Depends[i].Because = ""
	}
	if d := cmp.Diff(want, r.Depends); d != "" {
		t.Errorf("it depends on (-want +got):\n%s", d)
	}
	if want := "It depends on whether somebody has time to run it, and on whether ambient mode asks for less on these nodes."; r.Sentence != want {
		t.Errorf("sentence %q, want %q", r.Sentence, want)
	}
}

// Where all answers give the same verdict, no reason may be one that rests on one of them.
func TestReasonsHoldForAllAnswers(t *testing.T) {
	f := answered(func(f *facts) { f.encryption, f.identity, f.owned = notKnown, notKnown, no })
	r := &api.AssessmentReport{}
	judge(r, f)
	if r.Verdict != api.Stay {
		t.Fatalf("verdict %s, want %s", r.Verdict, api.Stay)
	}
	for _, b := range r.Because {
		if strings.Contains(b.What, "requirement") {
			t.Errorf("a requirement that nobody stated is a reason: %s", b.What)
		}
	}
}

// However the facts are: a verdict is given only when every way in which the unknown ones may come out leads to it,
// and otherwise each way is covered by an alternative that is right for it.
func TestVerdictsHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyFacts(t)
		r := &api.AssessmentReport{}
		judge(r, f)
		if r.Verdict == api.AssessmentUnset || r.Sentence == "" || len(r.Because) == 0 {
			t.Fatalf("nothing said: %+v", r)
		}
		ds := f.doubts()
		all := f.outcomes(ds)
		for _, o := range all {
			if r.Verdict != api.ItDepends && o.ruling.verdict != r.Verdict {
				t.Fatalf("verdict %s, and %v gives %s", r.Verdict, o.values, o.ruling.verdict)
			}
			if len(r.Depends) > 0 && !slices.ContainsFunc(r.Depends, func(a api.Alternative) bool { return holds(ds, o, a.If) && a.Verdict == o.ruling.verdict }) {
				t.Fatalf("no alternative covers %v, which gives %s: %+v", o.values, o.ruling.verdict, r.Depends)
			}
			for _, a := range r.Depends {
				if holds(ds, o, a.If) && a.Verdict != o.ruling.verdict {
					t.Fatalf("%q says %s, and %v gives %s", a.If, a.Verdict, o.values, o.ruling.verdict)
				}
			}
		}
		if r.Verdict == api.ItDepends && len(r.Depends) == 0 && f.mesh != meshNotKnown {
			t.Fatal("it depends, and nothing says on what")
		}
		for _, c := range r.Changes {
			if c.Verdict == r.Verdict {
				t.Fatalf("%q changes nothing", c.If)
			}
		}
	})
}

// holds tells whether an outcome meets a condition in words.
func holds(ds []doubt, o outcome, words string) bool {
	values := map[string]bool{}
	for i, d := range ds {
		values[d.values[o.values[i]]] = true
	}
	for _, w := range strings.Split(words, ", and ") {
		if !values[w] {
			return false
		}
	}
	return true
}

func anyFacts(t *rapid.T) *facts {
	any3 := rapid.SampledFrom([]answer{notKnown, yes, no})
	n := rapid.IntRange(0, 50)
	f := &facts{
		mesh:     rapid.SampledFrom([]meshToday{meshNotKnown, meshNone, meshSidecar, meshAmbient, meshOther}).Draw(t, "mesh"),
		clusters: rapid.IntRange(1, 3).Draw(t, "clusters"), services: n.Draw(t, "services"), teams: rapid.IntRange(0, 5).Draw(t, "teams"),
		encryption: any3.Draw(t, "encryption"), identity: any3.Draw(t, "identity"), owned: any3.Draw(t, "owned"), saves: any3.Draw(t, "saves"),
		cilium: rapid.Bool().Draw(t, "cilium"), wantsSaid: rapid.Bool().Draw(t, "said"),
		moving: rapid.IntRange(0, 3).Draw(t, "moving"), keeping: rapid.IntRange(0, 3).Draw(t, "keeping"), little: rapid.IntRange(0, 3).Draw(t, "little"),
		insideServices: rapid.IntRange(0, 3).Draw(t, "inside"), crossSpaces: rapid.IntRange(0, 3).Draw(t, "cross"), otherMesh: "Linkerd",
		inside: map[capabilityGroup]int{},
	}
	if f.wantsSaid {
		f.wants = rapid.SliceOfNDistinct(rapid.SampledFrom(api.Wants()), 0, 4, rapid.ID[api.Want]).Draw(t, "wants")
	}
	return f
}
