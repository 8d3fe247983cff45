package render

import (
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// SARIFRule is a rule of the reference, for tools that show results.
type SARIFRule struct{ ID, Title, Why, Remedy string }

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
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations,omitempty"`
	// Fingerprints keep a result the same while lines move.
	Fingerprints map[string]string `json:"partialFingerprints,omitempty"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

// notUnderstood is the rule of notes.
const notUnderstood = "T16"

// TelemetrySARIF is a report in SARIF 2.1.0, for code hosts that show results in pull requests.
func TelemetrySARIF(r *api.TelemetryReport, version string, rules []SARIFRule) any {
	var run sarifRun
	run.Tool.Driver = sarifDriver{Name: "ambientplan", Version: version, InformationURI: "https://github.com/ambientplan/ambientplan", Rules: []sarifRule{}}
	for _, x := range rules {
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{ID: x.ID, Text: sarifText{x.Title}, Full: sarifText{x.Why}, Help: sarifText{x.Remedy}})
	}
	run.Results = []sarifResult{}
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
	return sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{run}}
}

func result(rule string, severity api.Severity, text string, s api.TelemetrySource) sarifResult {
	level := map[api.Severity]string{api.Blocker: "error", api.Warning: "warning", api.Info: "note"}[severity]
	out := sarifResult{RuleID: rule, Level: level, Message: sarifText{plain(text)}}
	if s.File == "" {
		return out
	}
	var l sarifLocation
	l.Physical.Artifact.URI = uri(s.File)
	if s.Line > 0 {
		l.Physical.Region = &sarifRegion{s.Line, s.Column}
	}
	out.Locations = []sarifLocation{l}
	out.Fingerprints = map[string]string{"ambientplan/v1": rule + "/" + s.File + "/" + s.Namespace + "/" + s.Object + "/" + s.Path}
	return out
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
