package assess

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// change is one fact that might be different.
type change struct {
	words string
	set   func(*facts)
}

// changes lists which single different fact would change the verdict, by trying each.
func (f *facts) changes(now api.AssessmentVerdict) []api.Alternative {
	out := []api.Alternative{}
	for _, c := range f.possibleChanges() {
		g := *f
		c.set(&g)
		ds := g.doubts()
		all := g.outcomes(ds)
		v := all[0].ruling
		for _, o := range all {
			if o.ruling.verdict != v.verdict {
				v = ruling{verdict: api.ItDepends}
				break
			}
		}
		if v.verdict != now && v.verdict != api.ItDepends {
			out = append(out, api.Alternative{If: c.words, Verdict: v.verdict, Because: v.because[0].What})
		}
	}
	return out
}

func (f *facts) possibleChanges() []change {
	var out []change
	add := func(when bool, words string, set func(*facts)) {
		if when {
			out = append(out, change{words, set})
		}
	}
	source := []string{"somebody"}
	add(f.encryption != yes, "encryption of traffic between services were required", func(g *facts) { g.encryption, g.requirements = yes, source })
	add(f.encryption == yes, "encryption were not required", func(g *facts) { g.encryption = no })
	add(f.identity != yes, "services had to authenticate each other", func(g *facts) { g.identity, g.requirements = yes, source })
	add(f.identity == yes, "identity were not required", func(g *facts) { g.identity = no })
	add(f.owned != no, "nobody had time to run it", func(g *facts) { g.owned = no })
	add(f.owned != yes, "somebody had time to run it", func(g *facts) { g.owned = yes })
	add(f.services < many, fmt.Sprintf("there were %d services of %d teams, with problems between them", many, severalTeams), func(g *facts) {
		g.services, g.teams, g.wantsSaid, g.wants = many, max(f.teams, severalTeams), true, []api.Want{api.WantShifting}
	})
	add(f.services >= few, fmt.Sprintf("there were fewer than %d services of one team", few), func(g *facts) { g.services, g.teams = few-1, 1 })
	add(f.mesh == meshNone && f.wantsInside() != yes, "people wanted something of traffic between services", func(g *facts) {
		g.wantsSaid, g.wants = true, []api.Want{api.WantShifting}
	})
	add(f.mesh == meshNone && f.wantsInside() == yes, "the problems were at the edge only", func(g *facts) {
		g.wantsSaid, g.wants = true, []api.Want{api.WantEdgeAuth}
	})
	add(f.keeping > 0, "what keeps sidecars were resolved", func(g *facts) { g.moving, g.keeping = f.moving+f.keeping, 0 })
	add(f.little > 0, "waypoints were shared between namespaces", func(g *facts) { g.moving, g.little = f.moving+f.little, 0 })
	add(f.mesh == meshSidecar && f.saves == no, "nodes held more sidecars each, so that ambient mode asked for less", func(g *facts) { g.saves = yes })
	add(f.mesh == meshSidecar && f.saves == yes, "nodes held so few sidecars each that ambient mode asked for more", func(g *facts) { g.saves = no })
	return out
}
