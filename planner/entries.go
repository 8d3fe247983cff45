package planner

import (
	"slices"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// entries decides on ServiceEntries for which rules found needs: hosts outside
// the mesh that callers reach through a waypoint (facts L-38, L-39).
func (d *decider) entries() {
	for _, e := range d.st.ServiceEntries() {
		if len(d.needs[e.Ref()]) == 0 {
			continue
		}
		dec := api.Decision{Cluster: e.Cluster, Namespace: e.Namespace, Service: e.Name, Subject: e.Ref(), Mode: "external"}
		dec.Needs, dec.Waived = d.collect(&dec)
		if reason, ok := d.excluded[dec.Namespace]; ok {
			dec.Kind, dec.Why = api.KeepSidecarDecision, "the MigrationPolicy excludes its namespace: "+reason
		} else {
			d.byTier(&dec)
		}
		d.finish(dec)
	}
}

// unplaced reports needs whose subject has no decision. Nothing that a rule
// found may get lost because nobody knew where to put it.
func (d *decider) unplaced() {
	placed := map[api.Ref]bool{}
	for _, dec := range d.out {
		placed[dec.Subject] = true
		for _, w := range dec.Workloads {
			placed[w] = true
		}
	}
	for subject, needs := range d.needs {
		if placed[subject] {
			continue
		}
		for _, n := range needs {
			if n.Capability.Tier() == api.TierZtunnel {
				continue
			}
			d.findings = append(d.findings, api.Finding{
				ID: "unplaced-need", Severity: api.Blocker, Subject: subject,
				Message:  "needs " + string(n.Capability) + ", and this version plans nothing for this kind of object",
				Evidence: slices.Clone(n.Evidence),
				Effect:   "what the evidence names is not carried over",
				Action:   "decide by hand how the capability is provided after the move, and consent to this finding by id",
			})
		}
	}
}

// waypointEntries are the ServiceEntries of a namespace that get a waypoint.
func (s *stepper) waypointEntries(ns string) []*api.Decision {
	var out []*api.Decision
	for _, d := range s.byNS[ns] {
		if d.Kind == api.Waypoint && d.Subject.Kind == "ServiceEntry" {
			out = append(out, d)
		}
	}
	return out
}

// activateEntries binds ServiceEntries to their waypoint. They are mesh
// configuration, so the tree holds them whole.
func (s *stepper) activateEntries(st *step, ns string) {
	for _, d := range s.waypointEntries(ns) {
		for _, o := range s.st.Objects(mesh.KindServiceEntry) {
			if o.Ref() != d.Subject {
				continue
			}
			st.spaces[ns] = true
			st.patch(o, func(c api.Content) bool {
				setPath(c, labelPath(mesh.LabelUseWaypoint), d.Waypoint.Name)
				if d.Waypoint.Namespace != ns {
					setPath(c, labelPath(mesh.LabelUseWaypointNS), d.Waypoint.Namespace)
				}
				return true
			}, "ambient callers reach these hosts through the waypoint, which applies what sidecars applied", "L-38", "L-39")
			st.checks = append(st.checks, api.Check{When: "after", What: "ServiceEntry " + d.Service + " is bound to its waypoint", Command: kubectl("get", "serviceentry", d.Service, "-n", ns, "-o", `jsonpath={.status.conditions[?(@.type=="istio.io/WaypointBound")]}`), Expect: "status True", Ask: ask(api.AskBound, o.Ref())})
		}
	}
}
