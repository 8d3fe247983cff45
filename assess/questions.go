package assess

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// maxEvidence is how many objects are cited for a fact.
const maxEvidence = 3

// questions answers the five, in their order.
func questions(f *facts) []api.AssessmentQuestion {
	return []api.AssessmentQuestion{f.size(), f.requirementQuestion(), f.ownership(), f.platformQuestion(), f.gatewayQuestion()}
}

func fact(format string, args ...any) api.AssessmentFact {
	return api.AssessmentFact{What: fmt.Sprintf(format, args...)}
}

func seen(evidence []api.Evidence, format string, args ...any) api.AssessmentFact {
	f := fact(format, args...)
	if n := len(evidence); n > maxEvidence {
		f.What += fmt.Sprintf(" (%d of %d)", maxEvidence, n)
		evidence = evidence[:maxEvidence]
	}
	f.Evidence = evidence
	return f
}

func (f *facts) size() api.AssessmentQuestion {
	q := api.AssessmentQuestion{
		Number: 1, Ask: "How many services do you actually run, and how much do they call across teams?",
		Answer: counted(f.services, "service") + " with pods of their own", Weight: api.Some, Points: api.NeitherWay,
		Change: fmt.Sprintf("fewer than %d point against a mesh, %d and more for one; in between the count says nothing", few, many),
	}
	switch {
	case f.services < few:
		q.Points, q.Weight = api.AgainstMesh, api.Strong
	case f.services >= many:
		q.Points, q.Weight = api.ForMesh, api.Strong
	}
	if len(f.unreadable) > 0 {
		q.Points, q.Answer = api.DirectionUnknown, q.Answer+fmt.Sprintf(", without %s that could not be read", counted(len(f.unreadable), "cluster"))
	}
	if f.calls == 0 {
		q.Missing = append(q.Missing, "who calls whom: add a call graph (--prometheus, --kiali, --edges of inventory, or edges in FeatureNeeds)")
	} else {
		q.Facts = append(q.Facts, fact("%s known, %d of them between namespaces", counted(f.calls, "call"), f.crossSpaces))
		if f.teams > 1 {
			q.Facts = append(q.Facts, fact("%s between teams", counted(f.cross, "call")))
		}
	}
	if f.earlierServices >= 0 {
		q.Facts = append(q.Facts, fact("in the earlier inventory: %s and %s between namespaces; now %d and %d", counted(f.earlierServices, "service"), counted(f.earlierCross, "call"), f.services, f.crossSpaces))
	} else {
		q.Missing = append(q.Missing, "how fast it grows: hand an older inventory in with --earlier")
	}
	q.Facts = append(q.Facts, fact("Services that select the same pods count once; those of the control plane and of gateways do not"))
	return q
}

func (f *facts) requirementQuestion() api.AssessmentQuestion {
	q := api.AssessmentQuestion{
		Number: 2, Ask: "Does somebody require encryption or identity between services?", Weight: api.Decides,
		Change: "a rule, contract or customer that asks for encryption or identity decides for something that gives it",
	}
	switch {
	case f.encryption == yes || f.identity == yes:
		q.Points, q.Answer = api.ForMesh, "yes: "+strings.Join(f.requirements, "; ")
	case f.encryption == no && f.identity == no:
		q.Points, q.Answer = api.AgainstMesh, "no"
	default:
		q.Points, q.Answer = api.DirectionUnknown, "nobody has answered"
	}
	if f.encryption == notKnown {
		q.Missing = append(q.Missing, "encryption.required, and by what, in an Assessment")
	}
	if f.identity == notKnown {
		q.Missing = append(q.Missing, "identity.required, and by what, in an Assessment")
	}
	if n := len(f.strict); n > 0 {
		q.Facts = append(q.Facts, seen(f.strict, "%s mutual TLS: somebody wanted it", plural(n, "PeerAuthentication demands", "PeerAuthentications demand")))
	}
	if len(f.strict) == 0 && (f.mesh == meshSidecar || f.mesh == meshAmbient) && (f.encryption == yes || f.identity == yes) {
		// PERMISSIVE is what a mesh does that says nothing; the requirement is then not met yet.
		q.Facts = append(q.Facts, fact("no PeerAuthentication demands STRICT: callers without a proxy are still served in plaintext, so the mesh does not enforce the requirement yet"))
	}
	if n := len(f.identityPolicies); n > 0 {
		q.Facts = append(q.Facts, seen(f.identityPolicies, "%s by the identity of the caller", plural(n, "AuthorizationPolicy decides", "AuthorizationPolicies decide")))
	}
	if f.ciliumEncrypts {
		q.Facts = append(q.Facts, fact("Cilium encrypts between nodes already; traffic inside of a node it leaves as it is, by intention"))
	}
	if len(q.Facts) == 0 {
		q.Facts = []api.AssessmentFact{fact("no policy of Istio in what was read asks for it")}
	}
	return q
}

func (f *facts) ownership() api.AssessmentQuestion {
	q := api.AssessmentQuestion{
		Number: 3, Ask: "Are there several teams or several clusters?", Weight: api.Some, Points: api.NeitherWay,
		Answer: f.teamsWords() + ", " + counted(f.clusters, "cluster"),
		Change: fmt.Sprintf("%d teams and more, or several clusters with calls between them, point for a mesh; one team in one cluster points against it", severalTeams),
	}
	switch {
	case f.teams == 0:
		q.Points = api.DirectionUnknown
		q.Missing = append(q.Missing, "who owns what: teams in an Assessment, team or owner in FeatureNeeds, or labels named by the MigrationPolicy")
	case f.teams >= severalTeams || f.clusters > 1:
		q.Points, q.Weight = api.ForMesh, api.Strong
	case f.teams == 1:
		q.Points, q.Weight = api.AgainstMesh, api.Strong
	}
	if f.unowned > 0 && f.teams > 0 {
		q.Facts = append(q.Facts, fact("%s without an owner in what was read", counted(f.unowned, "service")))
	}
	if f.clusters > 1 {
		q.Facts = append(q.Facts, fact("several clusters make the case stronger and the work harder; whether they are one mesh is not judged here"))
	}
	if len(q.Facts) == 0 {
		q.Facts = []api.AssessmentFact{fact("teams by FeatureNeeds, labels and answers")}
	}
	return q
}

func (f *facts) platformQuestion() api.AssessmentQuestion {
	q := api.AssessmentQuestion{
		Number: 4, Ask: "Has somebody the time to own it: upgrades, policies, debugging?", Weight: api.Decides,
		Change: "if nobody has time, wait: the work does not go away, it moves to the platform team", Facts: []api.AssessmentFact{},
	}
	switch f.owned {
	case yes:
		q.Points, q.Answer, q.Weight = api.ForMesh, f.platform, api.Strong
		q.Facts = append(q.Facts, fact("whether it is enough is for the team to say"))
	case no:
		q.Points, q.Answer = api.AgainstMesh, "no: "+f.platform
	case notKnown:
		q.Points, q.Answer = api.DirectionUnknown, "nobody has answered"
		if f.platform != "" {
			q.Answer = f.platform
		}
		q.Missing = []string{"platform.people and platform.hoursPerWeek in an Assessment; no inventory can tell"}
	}
	return q
}

func (f *facts) gatewayQuestion() api.AssessmentQuestion {
	q := api.AssessmentQuestion{
		Number: 5, Ask: "Does an ingress or gateway give enough control of layer 7 already?", Weight: api.Some, Points: api.NeitherWay,
		Change: "problems at the edge only point to a gateway; routes, retries or authorization between services point to a mesh",
		Facts:  []api.AssessmentFact{},
	}
	if n := len(f.edge); n > 0 {
		q.Facts = append(q.Facts, seen(f.edge, "%s traffic in from outside", plural(n, "gateway or ingress object lets", "gateway or ingress objects let")))
	}
	for _, p := range f.found {
		if p.Kind == kindGateway {
			q.Facts = append(q.Facts, api.AssessmentFact{What: p.Name + " was found", Evidence: p.Evidence})
		}
	}
	if uses := f.insideUses(); len(uses) > 0 {
		q.Facts = append(q.Facts, fact("between services: %s", strings.Join(uses, ", ")))
	}
	inside := f.wantsInside()
	switch {
	case f.insideServices > 0 && inside == no:
		q.Answer, q.Points = fmt.Sprintf("layer 7 is in use between services (%d of %d), and people say that they need none there", f.insideServices, f.services), api.DirectionUnknown
	case f.insideServices > 0:
		q.Answer, q.Points, q.Weight = fmt.Sprintf("no: %d of %s use layer 7 between services", f.insideServices, counted(f.services, "service")), api.ForMesh, api.Strong
	case inside == yes:
		q.Answer, q.Points, q.Weight = "no: people want "+joined(f.wants), api.ForMesh, api.Strong
	case inside == no:
		q.Answer, q.Points, q.Weight = "yes: no problem between services is named, and none is configured for", api.AgainstMesh, api.Strong
	default:
		q.Answer, q.Points = "no layer 7 between services is configured; what people want nobody has answered", api.DirectionUnknown
	}
	if !f.wantsSaid {
		q.Missing = append(q.Missing, "wants in an Assessment: the problems that people have with traffic")
	}
	return q
}
