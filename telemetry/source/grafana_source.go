package source

import (
	"regexp"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
	"github.com/ambientplan/ambientplan/telemetry/template"
)

// Data sources that hold no query, in the words of sourceType.
const (
	mixedSource = "mixed"
	noSource    = "none"
)

// sourceType is the type of a data source: an object, the name of one, a variable. "" is the default one, or one that
// nothing is known of (observability.md 4.1).
func (b *board) sourceType(n *span.Node) string {
	id, kind := n.Str("uid"), n.Str("type")
	if n.Is(span.String) {
		id, kind = n.Text.String, ""
	}
	switch {
	case id == "-- Mixed --" || kind == "mixed":
		return mixedSource
	case id == "__expr__" || kind == "__expr__" || id == "-100" || id == "-- Dashboard --" || id == "-- Grafana --" || id == "grafana" && kind != "prometheus":
		return noSource
	case kind != "" && kind != "datasource" && !strings.Contains(kind, "$"):
		return kind
	}
	if tpl, _ := template.Grafana(id, nil); len(tpl.Uses) > 0 {
		return b.sources[tpl.Uses[0].Name]
	}
	return ""
}

// languageOf a type of data source. An unknown one is tried as PromQL by who adds the query.
func languageOf(source string) Language {
	switch {
	case source == "":
		return LanguageUnknown
	case source == "loki" || strings.Contains(source, "loki") || strings.Contains(source, "victorialogs") || strings.Contains(source, "victoriametrics-logs"):
		return LogQL
	case strings.Contains(source, "prometheus") || strings.Contains(source, "victoriametrics") || source == "mimir" || source == "cortex":
		return PromQL
	}
	return OtherLanguage
}

// logQL are marks of LogQL that are no PromQL: filters of lines, parsers, unwrap.
var logQL = regexp.MustCompile("\\}\\s*(?:\\|=|\\|~|!=|!~)\\s*[\"`]|\\|\\s*(?:json|logfmt|pattern|regexp|unpack|unwrap|line_format|label_format|decolorize)\\b")

// language of a target: by its own data source, the panel's, and how it looks.
func (b *board) language(target, panel *span.Node, text string) Language {
	kind := b.sourceType(target)
	if kind == "" || kind == mixedSource {
		kind = b.sourceType(panel)
	}
	if kind == mixedSource {
		kind = ""
	}
	if kind == noSource {
		return OtherLanguage
	}
	return guessed(languageOf(kind), text)
}
