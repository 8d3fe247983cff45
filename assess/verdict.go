package assess

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Sizes of a mesh by its services. Below few a mesh usually adds more work than value, from
// many on rules between services become hard to reason about; the numbers are signals, and
// what lies between them points nowhere.
const (
	few  = 20
	many = 30
	// severalTeams is from how many teams on nobody can know all rules.
	severalTeams = 3
)

// ruling is a verdict with its reasons, the weightiest first.
type ruling struct {
	verdict api.AssessmentVerdict
	because []api.AssessmentReason
}

func rule(v api.AssessmentVerdict, because ...api.AssessmentReason) ruling { return ruling{v, because} }

func because(weight api.Weight, question int, format string, args ...any) api.AssessmentReason {
	return api.AssessmentReason{What: fmt.Sprintf(format, args...), Weight: weight, Question: question}
}

// decide is the verdict when everything is known. It is a pure function of the facts, so
// that each of them can be changed to see what follows.
func decide(f *facts) ruling {
	switch f.mesh {
	case meshSidecar:
		return f.withSidecars()
	case meshAmbient:
		return rule(api.Stay, because(api.Decides, 0, "the mesh is in ambient mode already"))
	case meshOther:
		return rule(api.Stay,
			because(api.Decides, 0, "%s is the mesh here: Istio would replace it, which is no migration from sidecars to ambient mode", f.otherMesh),
			because(api.Some, 0, "its configuration is not read, so nothing says what it does that Istio would have to do"))
	case meshNone:
		return f.withoutMesh()
	case meshNotKnown:
	}
	return rule(api.ItDepends, because(api.Decides, 0, "it is not known whether workloads are in a mesh"))
}

// withoutMesh decides whether to add one.
func (f *facts) withoutMesh() ruling {
	if r, ok := f.requirement(); ok {
		return r
	}
	switch {
	case f.owned == no:
		return rule(api.Stay, because(api.Decides, 4, "nobody has time to run a mesh, and somebody would have to"))
	case f.wantsInside() == no && f.wantsEdge():
		return rule(api.UseGateway, because(api.Decides, 5, "all problems that people name are about traffic that enters from outside: a gateway solves them, a mesh does not"))
	case f.cilium && f.wantsOnly(api.WantEncryption, api.WantPolicy, api.WantVisibility) && len(f.wants) > 0:
		return rule(api.UseCilium, because(api.Decides, 5, "Cilium is here and covers what people want: %s", joined(f.wants)))
	case f.services >= many && (f.teams >= severalTeams || f.clusters > 1) && f.wantsInside() == yes:
		return rule(api.AdoptAmbient,
			because(api.Strong, 1, "%s are more than each team can keep rules for", counted(f.services, "service")),
			because(api.Strong, 3, "%s and %s share them", counted(f.teams, "team"), counted(f.clusters, "cluster")),
			because(api.Strong, 5, "the problems are between services: %s", joined(f.wants)))
	case f.services < few && f.wantsInside() == yes && f.wantsOnly(api.WantResilience, api.WantVisibility, api.WantEdgeAuth, api.WantEdgeLimits, api.WantEdgeRouting, api.WantPartners):
		return rule(api.UseLibraries, because(api.Strong, 1, "%s are few enough for shared libraries and metrics in the applications", counted(f.services, "service")))
	}
	return rule(api.Stay, because(api.Strong, 1, "nothing that was found or answered needs a mesh: %s, %s", counted(f.services, "service"), f.teamsWords()))
}

// requirement decides where somebody requires what a mesh gives.
func (f *facts) requirement() (ruling, bool) {
	switch {
	case f.identity == yes && f.owned == no, f.encryption == yes && f.owned == no && !f.cilium:
		return rule(api.Stay,
			because(api.Decides, 4, "nobody has time to run what would meet the requirement (%s): find them first", strings.Join(f.requirements, "; ")),
			because(api.Strong, 2, "the requirement stands, and nothing that was found meets it")), true
	case f.identity == yes:
		return rule(api.AdoptAmbient, because(api.Decides, 2, "services have to authenticate each other (%s), and a mesh gives every workload an identity without changing it", strings.Join(f.requirements, "; "))), true
	case f.encryption == yes && f.cilium:
		return rule(api.UseCilium, because(api.Decides, 2, "what is required is encryption (%s), not identities: Cilium is here and encrypts between nodes", strings.Join(f.requirements, "; "))), true
	case f.encryption == yes:
		return rule(api.AdoptAmbient, because(api.Decides, 2, "traffic between services has to be encrypted (%s), and ztunnel does it for every pod", strings.Join(f.requirements, "; "))), true
	}
	return ruling{}, false
}

// withSidecars decides what becomes of a mesh of sidecars.
func (f *facts) withSidecars() ruling {
	required := f.encryption == yes || f.identity == yes
	if !f.used() && !required {
		if f.services < few || f.teams <= 1 && f.crossSpaces == 0 {
			v := rule(api.RemoveMesh,
				because(api.Decides, 2, "no policy, no route and no setting of the mesh is in use between services, and nobody requires encryption or identity"),
				because(api.Strong, 1, "%s, %s", counted(f.services, "service"), f.teamsWords()))
			if len(f.edge) > 0 {
				v.because = append(v.because, because(api.Some, 5, "its gateways are in use (%s): they can stay without sidecars", f.edge[0].Object))
			}
			return v
		}
	}
	switch {
	case f.moving+f.little == 0:
		return rule(api.Stay, because(api.Decides, 0, "no namespace can move as things stand: %s keep their sidecars", counted(f.keeping, "namespace")))
	case f.owned == no:
		return rule(api.Stay, because(api.Decides, 4, "nobody has time for a migration, and one that stops half way runs two data planes"))
	case f.moving == 0:
		return rule(api.Stay, because(api.Decides, 0, "what can move asks for as much afterwards as before: %s with a waypoint for few sidecars", counted(f.little, "namespace")))
	case f.saves == no:
		return rule(api.Stay, because(api.Decides, 0, "ztunnel on every node and the waypoints ask for more than the sidecars that go: too few sidecars for each node"))
	case f.keeping+f.little > 0:
		return f.doubted(rule(api.MigrateSome,
			because(api.Strong, 0, "%s can move, step by step with a way back%s", counted(f.moving, "namespace"), f.savingWords()),
			because(api.Strong, 0, "%s should keep their sidecars for now", counted(f.keeping+f.little, "namespace"))))
	}
	return f.doubted(rule(api.AdoptAmbient,
		because(api.Strong, 0, "%s of the mesh can move, step by step with a way back%s", every(f.moving), f.savingWords()),
		because(api.Some, 5, "%s", f.usedWords())))
}

// every is "the one namespace" or "all 7 namespaces".
func every(n int) string {
	if n == 1 {
		return "the one namespace"
	}
	return "all " + counted(n, "namespace")
}

// doubted adds that a mesh may be more than so few services need: moving it answers which
// data plane it has, not whether it is worth its work.
func (f *facts) doubted(r ruling) ruling {
	if f.services < few && f.encryption != yes && f.identity != yes {
		r.because = append(r.because, because(api.Some, 1, "%s are few for a mesh of any kind: see below what else could do what is in use", counted(f.services, "service")))
	}
	return r
}

func (f *facts) savingWords() string {
	switch f.saves {
	case yes:
		if f.savesOne {
			return ", and the data plane asks for less of one resource and more of the other (see the cost)"
		}
		return ", and the data plane asks for less"
	case no:
		return ", and the data plane asks for more"
	case notKnown:
	}
	return "; what it saves is not known"
}

// used tells whether anything but gateways is configured: policies, STRICT, layer 7 between
// services.
func (f *facts) used() bool {
	return len(f.strict)+len(f.policies) > 0 || f.insideServices > 0
}

func (f *facts) usedWords() string {
	if uses := f.insideUses(); len(uses) > 0 {
		return "in use between services: " + strings.Join(uses, ", ")
	}
	if len(f.strict)+len(f.policies) > 0 {
		return "in use between services: mutual TLS and identity, for which ztunnel is enough"
	}
	return "no policy and no route of the mesh is in use between services"
}

func (f *facts) teamsWords() string {
	if f.teams == 0 {
		return "teams not known"
	}
	return counted(f.teams, "team")
}

func joined(ws []api.Want) string {
	out := make([]string, len(ws))
	for i, w := range ws {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// doubt is a fact that is not known, with the values that it may have.
type doubt struct {
	about  string
	values []string
	set    []func(*facts)
}

// doubts are what is not known and may change the verdict.
func (f *facts) doubts() []doubt {
	var out []doubt
	if f.encryption == notKnown {
		out = append(out, doubt{"whether encryption between services is required", []string{"encryption is required", "encryption is not required"},
			[]func(*facts){func(g *facts) { g.encryption = yes }, func(g *facts) { g.encryption = no }}})
	}
	if f.identity == notKnown {
		out = append(out, doubt{"whether services have to authenticate each other", []string{"identity is required", "identity is not required"},
			[]func(*facts){func(g *facts) { g.identity = yes }, func(g *facts) { g.identity = no }}})
	}
	if f.owned == notKnown {
		out = append(out, doubt{"whether somebody has time to run it", []string{"somebody has time to run it", "nobody has time to run it"},
			[]func(*facts){func(g *facts) { g.owned = yes }, func(g *facts) { g.owned = no }}})
	}
	if !f.wantsSaid && f.mesh == meshNone {
		out = append(out, doubt{"what people want of traffic", []string{"people want something of traffic between services", "people want something of traffic from outside only", "people want neither"},
			[]func(*facts){
				func(g *facts) { g.wantsSaid, g.wants = true, []api.Want{api.WantShifting} },
				func(g *facts) { g.wantsSaid, g.wants = true, []api.Want{api.WantEdgeAuth} },
				func(g *facts) { g.wantsSaid, g.wants = true, nil },
			}})
	}
	if f.saves == notKnown && f.mesh == meshSidecar {
		out = append(out, doubt{"whether ambient mode asks for less on these nodes", []string{"ambient mode asks for less", "ambient mode asks for more"},
			[]func(*facts){func(g *facts) { g.saves = yes }, func(g *facts) { g.saves = no }}})
	}
	if len(f.unreadable) > 0 && f.mesh == meshSidecar && !f.used() {
		// Nothing can be called unused before everything was looked at.
		out = append(out, doubt{"whether what could not be read uses the mesh", []string{"what could not be read uses the mesh", "what could not be read does not use the mesh either"},
			[]func(*facts){func(g *facts) { g.insideServices++ }, func(*facts) {}}})
	}
	if f.teams == 0 {
		out = append(out, doubt{"how many teams own the services", []string{"one team owns the services", "several teams own them"},
			[]func(*facts){func(g *facts) { g.teams = 1 }, func(g *facts) { g.teams = severalTeams }}})
	}
	return out
}

// outcome is the verdict for one way in which all doubts may come out.
type outcome struct {
	values []int
	ruling ruling
}

// outcomes tries all ways; at most 2*2*2*3*2*2*2 of them.
func (f *facts) outcomes(ds []doubt) []outcome {
	out := []outcome{}
	var walk func(g facts, values []int)
	walk = func(g facts, values []int) {
		i := len(values)
		if i == len(ds) {
			out = append(out, outcome{slices.Clone(values), decide(&g)})
			return
		}
		for v, set := range ds[i].set {
			h := g
			set(&h)
			walk(h, append(values, v))
		}
	}
	walk(*f, nil)
	return out
}

// judge writes verdict, reasons and alternatives.
func judge(r *api.AssessmentReport, f *facts) {
	ds := f.doubts()
	all := f.outcomes(ds)
	first := all[0].ruling
	same := !slices.ContainsFunc(all, func(o outcome) bool { return o.ruling.verdict != first.verdict })
	r.Verdict, r.Because = first.verdict, shared(all)
	if !same {
		r.Verdict = api.ItDepends
		r.Because = []api.AssessmentReason{because(api.Decides, 0, "what is not known changes the verdict")}
		r.Depends = alternatives(ds, all)
	}
	if len(f.unreadable) > 0 {
		r.Because = append(r.Because, because(api.Strong, 0, "%s could not be read, and may change everything", counted(len(f.unreadable), "cluster")))
	}
	if len(f.incomplete) > 0 && (r.Verdict == api.AdoptAmbient || r.Verdict == api.MigrateSome) && f.mesh == meshSidecar {
		r.Because = append(r.Because, because(api.Strong, 0, "the plan is not complete yet, so nothing must start: %s", strings.Join(f.incomplete, "; ")))
	}
	r.Sentence = sentence(r.Verdict, f, mattering(ds, all))
	if len(f.unreadable) > 0 {
		r.Sentence += fmt.Sprintf(" This is for what could be read, without %s.", counted(len(f.unreadable), "cluster"))
	}
	r.Changes = f.changes(r.Verdict)
}

// shared are the reasons that hold however the doubts come out; a reason that rests on an
// answer that nobody gave is none.
func shared(all []outcome) []api.AssessmentReason {
	out := slices.DeleteFunc(slices.Clone(all[0].ruling.because), func(r api.AssessmentReason) bool {
		return slices.ContainsFunc(all, func(o outcome) bool { return !slices.Contains(o.ruling.because, r) })
	})
	if len(out) == 0 {
		out = append(out, because(api.Decides, 0, "the verdict is the same however the open answers come out, each time for another reason"))
	}
	return out
}

// alternatives groups outcomes by verdict, and names for each the shortest condition that
// leads to it in all cases; where there is none, one case as an example.
func alternatives(ds []doubt, all []outcome) []api.Alternative {
	out := []api.Alternative{}
	done := make([]bool, len(all))
	for size := 1; size <= len(ds); size++ {
		for _, c := range conditions(ds, size) {
			var verdict api.AssessmentVerdict
			var why string
			fresh, agree := false, true
			for i, o := range all {
				if !c.holds(o.values) {
					continue
				}
				if verdict == "" {
					verdict, why = o.ruling.verdict, o.ruling.because[0].What
				}
				agree = agree && o.ruling.verdict == verdict
				fresh = fresh || !done[i]
			}
			if !agree || !fresh {
				continue
			}
			for i, o := range all {
				done[i] = done[i] || c.holds(o.values)
			}
			out = append(out, api.Alternative{If: c.words(ds), Verdict: verdict, Because: why})
		}
	}
	return out
}

// condition fixes the values of some doubts; -1 leaves one open.
type condition []int

func (c condition) holds(values []int) bool {
	for i, v := range c {
		if v >= 0 && values[i] != v {
			return false
		}
	}
	return true
}

func (c condition) words(ds []doubt) string {
	var out []string
	for i, v := range c {
		if v >= 0 {
			out = append(out, ds[i].values[v])
		}
	}
	return strings.Join(out, ", and ")
}

// conditions are all that fix as many doubts as size says.
func conditions(ds []doubt, size int) []condition {
	var out []condition
	var walk func(c condition, left int)
	walk = func(c condition, left int) {
		i := len(c)
		if i == len(ds) {
			if left == 0 {
				out = append(out, slices.Clone(c))
			}
			return
		}
		if left > 0 {
			for v := range ds[i].values {
				walk(append(slices.Clone(c), v), left-1)
			}
		}
		walk(append(slices.Clone(c), -1), left)
	}
	walk(condition{}, size)
	return out
}

// mattering names the doubts of which one alone can change the verdict.
func mattering(ds []doubt, all []outcome) []string {
	var out []string
	for i, d := range ds {
		matters := slices.ContainsFunc(all, func(a outcome) bool {
			return slices.ContainsFunc(all, func(b outcome) bool {
				for j := range ds {
					if j != i && a.values[j] != b.values[j] {
						return false
					}
				}
				return a.ruling.verdict != b.ruling.verdict
			})
		})
		if matters {
			out = append(out, d.about)
		}
	}
	return out
}

// sentence says the verdict in words.
func sentence(v api.AssessmentVerdict, f *facts, open []string) string {
	switch v {
	case api.AdoptAmbient:
		if f.mesh == meshSidecar {
			return "Move the whole mesh to ambient mode, wave by wave."
		}
		return "Adopt Istio in ambient mode, beginning with layer 4: ztunnel alone, waypoints only where layer 7 is needed."
	case api.MigrateSome:
		return fmt.Sprintf("Move %s to ambient mode, and keep sidecars in %s.", counted(f.moving, "namespace"), counted(f.keeping+f.little, "namespace"))
	case api.Stay:
		switch f.mesh {
		case meshSidecar:
			return "Keep the sidecars for now."
		case meshAmbient:
			return "Stay in ambient mode."
		case meshOther:
			return "Keep " + f.otherMesh + "."
		case meshNone, meshNotKnown:
		}
		return "Do not add a mesh now."
	case api.UseGateway:
		return "A gateway serves you better than a mesh."
	case api.UseCilium:
		return "Cilium, which is here, serves you better than a mesh on top of it."
	case api.UseLibraries:
		return "Shared libraries in the applications serve you better than a mesh."
	case api.RemoveMesh:
		return "Remove the sidecars: what the mesh does between services is not used."
	case api.ItDepends, api.AssessmentUnset:
	}
	if f.mesh == meshNotKnown {
		return "It depends on whether the workloads are in a mesh, which what was read does not tell."
	}
	return "It depends on " + strings.Join(open, ", and on ") + "."
}
