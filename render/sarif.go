package render

import (
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// SARIFRule is a rule of the reference, for tools that show results.
type SARIFRule struct {
	ID, Title, Why, Remedy string
	// Page is the rule's page, as a path in the repository; empty when it has none.
	Page string
}

const projectURL = "https://github.com/ambientplan/ambientplan"

// sarifLog is the part of SARIF 2.1.0 that is written.
type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool struct {
		Driver sarifDriver `json:"driver"`
	} `json:"tool"`
	Results []sarifResult `json:"results"`
}

type sarifDriver struct {
	Name           string      `json:"name"`
	Version        string      `json:"version"`
	InformationURI string      `json:"informationUri"`
	Rules          []sarifRule `json:"rules"`
}

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID   string    `json:"id"`
	Name string    `json:"name,omitempty"`
	Text sarifText `json:"shortDescription"`
	Full sarifText `json:"fullDescription,omitzero"`
	Help sarifText `json:"help,omitzero"`
	URI  string    `json:"helpUri,omitempty"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
	// Fingerprints keep a result the same while lines move.
	Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
	// Suppressions hold the consent or waiver of a person.
	Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	Properties   *sarifProperties   `json:"properties,omitempty"`
}

type sarifSuppression struct {
	Kind          string `json:"kind"`
	Justification string `json:"justification"`
}

// sarifProperties say what SARIF has no word for. Known is false for what could not be
// known: SARIF's kind "open" would forbid it a level, and hosts would not show it.
type sarifProperties struct {
	Known bool `json:"known"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifPhysical struct {
	Artifact struct {
		URI string `json:"uri"`
	} `json:"artifactLocation"`
	Region *sarifRegion `json:"region,omitempty"`
}

// sarifLogical is an object of the cluster.
type sarifLogical struct {
	Name          string `json:"name"`
	QualifiedName string `json:"fullyQualifiedName"`
	Kind          string `json:"kind"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

// notUnderstood is the rule of notes.
const notUnderstood = "T16"

// TelemetrySARIF is a report in SARIF 2.1.0, for code hosts that show results in pull requests.
func TelemetrySARIF(r *api.TelemetryReport, version string, rules []SARIFRule) any {
	run := newSARIFRun(version, rules)
	for i := range r.Queries {
		q := &r.Queries[i]
		if q.Severity == api.SeverityUnset {
			continue
		}
		text := q.Source.Name + ": " + string(q.Verdict) + when(q) + ". " + q.Why
		if q.Rewrite != nil && q.Rewrite.Query != "" {
			text += ". Rewritten, " + ProofWords(q.Rewrite) + ": " + q.Rewrite.Query
		}
		run.Results = append(run.Results, result(q.Rule, q.Severity, text, q.Source))
	}
	for _, f := range r.Findings {
		text := f.Message + before(f.Before)
		if len(f.Choices) > 0 {
			text += ". Choices: " + strings.Join(f.Choices, "; ")
		}
		run.Results = append(run.Results, result(f.Rule, f.Severity, text, f.Source))
	}
	for _, n := range r.Notes {
		run.Results = append(run.Results, result(notUnderstood, api.Warning, n.Kind+": "+n.Text, n.Source))
	}
	return run.log()
}

// newSARIFRun is a run without results.
func newSARIFRun(version string, rules []SARIFRule) sarifRun {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "ambientplan", Version: version, InformationURI: projectURL, Rules: []sarifRule{}}
	for _, x := range rules {
		r := sarifRule{ID: x.ID, Text: sarifText{x.Title}, Full: sarifText{x.Why}, Help: sarifText{x.Remedy}}
		if x.Page != "" {
			r.URI = projectURL + "/blob/main/" + x.Page
		}
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, r)
	}
	return run
}

// log is the file with the run.
func (r sarifRun) log() sarifLog {
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{r}}
}

// sarifLevel is the level of a severity. One that is not set is a fault of a rule and counts as the worst.
func sarifLevel(s api.Severity) string {
	switch s {
	case api.Warning:
		return "warning"
	case api.Info:
		return "note"
	}
	return "error"
}

func result(rule string, severity api.Severity, text string, s api.TelemetrySource) sarifResult {
	out := sarifResult{RuleID: rule, Level: sarifLevel(severity), Message: sarifText{plain(text)}}
	if s.File == "" {
		return out
	}
	out.Locations = []sarifLocation{{Physical: physical(s.File, s.Line, s.Column)}}
	out.Fingerprints = map[string]string{"ambientplan/v1": rule + "/" + s.File + "/" + s.Namespace + "/" + s.Object + "/" + s.Path}
	return out
}

// physical is a place in a file; line 0 is the file as a whole.
func physical(file string, line, column int) *sarifPhysical {
	p := new(sarifPhysical)
	p.Artifact.URI = uri(file)
	if line > 0 {
		p.Region = &sarifRegion{line, column}
	}
	return p
}

// uri is a relative path as a URI reference.
func uri(path string) string {
	const plainBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/"
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; strings.IndexByte(plainBytes, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + string("0123456789ABCDEF"[c>>4]) + string("0123456789ABCDEF"[c&15]))
		}
	}
	return b.String()
}
