package assess

import (
	"cmp"
	"fmt"
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// people takes in what people say. Answers that contradict each other are none.
func (f *facts) people(docs []api.Assessment) {
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(a, b api.Assessment) int { return cmp.Compare(a.File, b.File) })
	f.encryption = f.required(docs, "encryption", func(d *api.Assessment) *api.Requirement { return d.Encryption })
	f.identity = f.required(docs, "identity", func(d *api.Assessment) *api.Requirement { return d.Identity })
	for i := range docs {
		d := &docs[i]
		// An empty list is an answer: nobody has a problem.
		f.wantsSaid = f.wantsSaid || d.Wants != nil
		for _, w := range d.Wants {
			if !slices.Contains(f.wants, w) {
				f.wants = append(f.wants, w)
			}
		}
		if d.Teams > 0 {
			if f.teamsSaid && f.teams != d.Teams {
				f.contradictions = append(f.contradictions, fmt.Sprintf("%s counts %s, another answer %d; the larger number is taken", d.File, counted(d.Teams, "team"), f.teams))
				f.teams = max(f.teams, d.Teams)
			} else {
				if f.teams > d.Teams {
					f.contradictions = append(f.contradictions, fmt.Sprintf("%s counts %s, and owners and labels name %d; the larger number is taken", d.File, counted(d.Teams, "team"), f.teams))
				}
				f.teams = max(f.teams, d.Teams)
			}
			f.teamsSaid = true
		}
		if d.Prices != nil {
			if f.prices != nil && *f.prices != *d.Prices {
				f.contradictions = append(f.contradictions, fmt.Sprintf("%s: prices: another answer has others; those of the first file are taken", d.File))
			} else {
				f.prices = d.Prices
			}
		}
	}
	slices.Sort(f.wants)
	f.bandwidth(docs)
	f.against()
}

// required is the answer to one question about requirements.
func (f *facts) required(docs []api.Assessment, field string, of func(*api.Assessment) *api.Requirement) answer {
	var out answer
	said := ""
	for i := range docs {
		r := of(&docs[i])
		if r == nil || r.Required == nil {
			continue
		}
		a := answerOf(*r.Required)
		if out != notKnown && out != a {
			f.contradictions = append(f.contradictions, fmt.Sprintf("%s: required is %v in %s and %v in %s, so it is not known", field, out == yes, said, a == yes, docs[i].File))
			return notKnown
		}
		out, said = a, docs[i].File
		if a == yes {
			f.requirements = append(f.requirements, field+": "+r.By)
		}
	}
	return out
}

// bandwidth says whether somebody can run a mesh: at least one person with some time. How
// much is enough is for people to say; nobody, and no hour, is not.
func (f *facts) bandwidth(docs []api.Assessment) {
	for i := range docs {
		p := docs[i].Platform
		if p == nil {
			continue
		}
		a := answerOf(p.People > 0 && p.HoursPerWeek > 0)
		if p.People > 0 && p.HoursPerWeek == 0 {
			// A team whose time nobody named.
			f.platform = fmt.Sprintf("%s, and nobody says how many hours they have for it", people(p.People))
			continue
		}
		if f.owned != notKnown && f.owned != a {
			f.contradictions = append(f.contradictions, docs[i].File+": platform: another answer says the opposite, so it is not known")
			f.owned = notKnown
			return
		}
		f.owned = a
		f.platform = fmt.Sprintf("%s with %v hours a week", people(p.People), p.HoursPerWeek)
	}
}

func people(n int) string {
	if n == 1 {
		return "1 person"
	}
	return fmt.Sprintf("%d people", n)
}

// against holds answers against what is in the clusters.
func (f *facts) against() {
	if f.encryption == no && len(f.strict) > 0 {
		f.contradictions = append(f.contradictions, fmt.Sprintf("encryption is answered as not required, and %s demands mutual TLS (%s): somebody wanted it", counted(len(f.strict), "PeerAuthentication"), f.strict[0].Object))
	}
	if f.identity == no && len(f.identityPolicies) > 0 {
		f.contradictions = append(f.contradictions, fmt.Sprintf("identity is answered as not required, and %s decides by the identity of the caller (%s): something relies on it", plural(len(f.identityPolicies), "AuthorizationPolicy", "AuthorizationPolicies"), f.identityPolicies[0].Object))
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// wantsInside tells whether a problem is about traffic between services; not known when
// nobody said.
func (f *facts) wantsInside() answer {
	if !f.wantsSaid {
		return notKnown
	}
	return answerOf(slices.ContainsFunc(f.wants, func(w api.Want) bool { return !w.AtEdge() }))
}

// wantsEdge tells whether a problem is about traffic from outside.
func (f *facts) wantsEdge() bool { return slices.ContainsFunc(f.wants, api.Want.AtEdge) }

// wantsOnly tells whether all problems are among some.
func (f *facts) wantsOnly(ws ...api.Want) bool {
	return f.wantsSaid && !slices.ContainsFunc(f.wants, func(w api.Want) bool { return !slices.Contains(ws, w) })
}
