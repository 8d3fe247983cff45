package render

import (
	"fmt"
	"strconv"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// sarifGaps are the kinds of gaps of the proof, as rules.
var sarifGaps = []struct {
	kind       api.GapKind
	title, why string
}{
	{api.GapPermissive, "A request passes that is denied today", "In a state of the plan a request is let through that the mesh denies today."},
	{api.GapRestrictive, "A request is denied that passes today", "In a state of the plan a request is denied that the mesh lets through today."},
	{api.GapPlaintext, "A connection is not encrypted that is today", "In a state of the plan a connection has no mutual TLS that has it today."},
	{api.GapRoutes, "Nobody applies what is applied today", "In a state of the plan nobody applies a route, retry, timeout or the like that is applied today."},
}

// PlanSARIF is what a plan found in SARIF 2.1.0: findings, unknowns, held namespaces, states that are not
// proved, and the gaps of the proofs, each once. Whatever
// a person consented to is suppressed, with the reason. rules are the rules' pages; ids that are not among them are
// of the planner or the reader.
func PlanSARIF(p *api.MigrationPlan, version string, rules []SARIFRule) any {
	x := sarifPlan{run: newSARIFRun(version, rules), known: map[string]bool{}, seen: map[string]int{}}
	for _, r := range rules {
		x.known[r.ID] = true
	}
	for _, f := range p.Findings {
		text := f.Message
		if f.Effect != "" {
			text += ". If nothing is done: " + f.Effect
		}
		if f.Action != "" {
			text += ". What to do: " + f.Action
		}
		x.add(f.ID, sarifLevel(f.Severity), text, f.ConsentedBy, f.Subject, f.Evidence)
	}
	for _, u := range p.Unknowns {
		text := "not known: " + u.What
		if u.Could != "" {
			text += ". It could mean: " + u.Could
		}
		if u.Action != "" {
			text += ". What to do: " + u.Action
		}
		x.add(u.ID, "warning", text, u.WaivedBy, u.Subject, u.Evidence).Properties = &sarifProperties{Known: false}
	}
	for _, h := range p.Held {
		x.add("held-namespace", "error", "the namespace is held: "+strings.Join(h.Reasons, "; "), "", api.Ref{Cluster: h.Cluster, Kind: "Namespace", Name: h.Name}, nil)
	}
	x.gaps(p)
	return x.run.log()
}

type sarifPlan struct {
	run sarifRun
	// known are the rules that the run lists.
	known map[string]bool
	// seen counts fingerprints.
	seen map[string]int
}

// add appends a result and returns it, for what only some results have; it is valid until the next call.
func (x *sarifPlan) add(rule, level, text, consent string, subject api.Ref, evidence []api.Evidence) *sarifResult {
	if !x.known[rule] {
		x.known[rule] = true
		x.run.Tool.Driver.Rules = append(x.run.Tool.Driver.Rules, sarifRule{ID: rule, Text: sarifText{plain(strings.ReplaceAll(rule, "-", " "))}})
	}
	r := sarifResult{RuleID: rule, Level: level, Message: sarifText{plain(text)}}
	if consent != "" {
		r.Suppressions = []sarifSuppression{{"external", plain(consent)}}
	}
	logical := []sarifLogical{{plain(subject.Name), plain(subject.String()), "object"}}
	print := rule + "/" + subject.String()
	at := map[string]bool{}
	for _, e := range evidence {
		file, line := filePosition(e.Source)
		if file == "" || at[e.Source] {
			continue
		}
		at[e.Source] = true
		r.Locations = append(r.Locations, sarifLocation{Physical: physical(file, line, 0), Logical: logical})
	}
	if len(evidence) > 0 {
		print += "/" + evidence[0].Object.String() + "/" + evidence[0].Path
	}
	if len(r.Locations) == 0 {
		r.Locations = []sarifLocation{{Logical: logical}}
	}
	x.print(&r, print)
	x.run.Results = append(x.run.Results, r)
	return &x.run.Results[len(x.run.Results)-1]
}

// print gives the result a fingerprint that no other has.
func (x *sarifPlan) print(r *sarifResult, s string) {
	x.seen[s]++
	if n := x.seen[s]; n > 1 {
		s += "#" + strconv.Itoa(n)
	}
	r.Fingerprints = map[string]string{"ambientplan/v1": plain(s)}
}

// gaps adds each gap once, at the state that shows it first.
func (x *sarifPlan) gaps(p *api.MigrationPlan) {
	sources := map[api.Ref]string{}
	for _, b := range p.Base {
		sources[b.Object] = b.Source
	}
	for _, g := range sarifGaps {
		id := "gap-" + string(g.kind)
		x.known[id] = true
		x.run.Tool.Driver.Rules = append(x.run.Tool.Driver.Rules, sarifRule{ID: id, Text: sarifText{g.title}, Full: sarifText{g.why}, URI: projectURL + "/blob/main/docs/proof.md"})
	}
	shown := map[string]bool{}
	EachProof(p, func(at StateRef, namespaces []string, proof api.Proof) {
		if proof.Result == api.ProofUnknown || proof.Result == api.ProofUnset || len(proof.Unknowns) > 0 {
			text := stateName(at) + " is not proved"
			for _, why := range append([]string{proof.Reason}, proof.Unknowns...) {
				if why != "" {
					text += "; " + why
				}
			}
			subject := api.Ref{Kind: "Step", Namespace: strings.Join(namespaces, ","), Name: strings.Trim(at.Step+"/"+at.Back, "/")}
			x.add("not-proved", "warning", text, "", subject, nil).Properties = &sarifProperties{Known: false}
		}
		for _, c := range proof.Counterexamples {
			if shown[c.ID] {
				continue
			}
			shown[c.ID] = true
			text := fmt.Sprintf("%s: %s. Today: %s. Then: %s", stateName(at), c.Request, c.Before, c.After)
			if len(c.Choices) > 0 {
				text += ". Choices: " + strings.Join(c.Choices, "; ")
			}
			var ev []api.Evidence
			if s := sources[c.Service]; s != "" {
				ev = []api.Evidence{{Object: c.Service, Source: s}}
			}
			r := x.add("gap-"+string(c.Kind), "error", text, c.ConsentedBy, c.Service, ev)
			r.Fingerprints = map[string]string{"ambientplan/v1": plain(c.ID)}
		}
	})
}

// stateName is "wave 1, cutover", or the step on the way back from it.
func stateName(at StateRef) string {
	if at.Back != "" {
		return fmt.Sprintf("wave %d, %s, way back %s", at.Wave, at.Step, at.Back)
	}
	return fmt.Sprintf("wave %d, %s", at.Wave, at.Step)
}

// filePosition takes "file:line" apart. The file is empty when the source is a cluster or nothing.
func filePosition(source string) (file string, line int) {
	if source == "" || source == "cluster" || strings.Contains(source, "://") {
		return "", 0
	}
	if i := strings.LastIndexByte(source, ':'); i > 0 {
		if n, err := strconv.Atoi(source[i+1:]); err == nil && n > 0 {
			return source[:i], n
		}
	}
	return source, 0
}
