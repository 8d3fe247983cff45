package source

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// meshMetric are the metric families of a mesh (observability.md 1.2).
var meshMetric = regexp.MustCompile(`\b(?:istio_(?:requests?|response|tcp|build|agent|dns|on_demand|xds|crl)\w*|workload_manager_\w+|envoy_\w+|pilot_\w+)\b`)

// meshMarker are metrics and what else shows that a text reads the mesh's telemetry (observability.md 4.3).
var meshMarker = regexp.MustCompile(meshMetric.String() + `|\bistio-proxy\b|:15090\b|:15020\b|\breporter\s*(?:=|!=)~?\s*\\*["']`)

// codeSuffixes are of files whose queries are made by programs: they are searched for names of metrics only.
var codeSuffixes = []string{
	".libsonnet", ".jsonnet", ".tf", ".hcl", ".js", ".ts", ".py", ".go", ".md", ".tpl", ".gotmpl", ".alloy", ".river", ".cue", ".sh", ".conf", ".toml", ".txt",
}

func sourceCode(path string) bool {
	for _, s := range codeSuffixes {
		if strings.HasSuffix(path, s) {
			return true
		}
	}
	return false
}

// scanText searches a file that no reader can read.
func (r *reader) scanText() {
	all := meshMetric.FindAllStringIndex(r.file.Data, -1)
	if len(all) == 0 {
		return
	}
	first := r.file.Data[all[0][0]:all[0][1]]
	r.note(all[0][0], Object{Kind: strings.TrimPrefix(filepath.Ext(r.file.Path), ".") + " file"}, Unrecognised,
		fmt.Sprintf("the text names metrics of the mesh (%s here, %s in all) and is not read: look at it, or give what it renders to", first, times(len(all))))
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// unreadable notes that a file is broken or a template.
func (r *reader) unreadable(err error) {
	at, text := 0, err.Error()
	if i := strings.Index(r.file.Data, "{{"); i >= 0 {
		at = i
		text = "the file is a template, here for the first time: give what it renders to, such as the output of helm template (" + text + ")"
	}
	if m := meshMetric.FindString(r.file.Data); m != "" {
		text += "; it names " + m
	}
	r.note(at, Object{}, Unreadable, text)
}

// deploys are API groups of objects that name istio-proxy or ports without reading metrics.
var deploys = regexp.MustCompile(`^(?:v1|apps/|batch/|rbac\.|networking\.|security\.istio\.io/|telemetry\.istio\.io/|extensions\.istio\.io/|gateway\.networking\.|admissionregistration\.|apiextensions\.|policy/|install\.istio\.io/)`)

// unrecognised notes that a document which no reader knows names the mesh's metrics: what protects against sources that
// nobody thought of.
func (r *reader) unrecognised(doc *span.Node) {
	marker := meshMarker
	if doc.Str("kind") != "ConfigMap" && deploys.MatchString(doc.Str("apiVersion")) {
		marker = meshMetric
	}
	first, found, count := -1, "", 0
	var walk func(n *span.Node)
	seen := func(t span.Text) {
		all := marker.FindAllStringIndex(t.String, -1)
		if len(all) == 0 {
			return
		}
		if count == 0 {
			at, ok := t.Offset(all[0][0])
			if !ok {
				at = t.Start()
			}
			first, found = at, t.String[all[0][0]:all[0][1]]
		}
		count += len(all)
	}
	walk = func(n *span.Node) {
		if n == nil || r.taken[n] {
			return
		}
		if n.Kind == span.String {
			seen(n.Text)
		}
		for _, item := range n.Items {
			walk(item)
		}
		for _, m := range n.Members {
			seen(m.Key)
			walk(m.Value)
		}
	}
	walk(doc)
	if count > 0 {
		r.note(first, objectOf(doc), Unrecognised,
			fmt.Sprintf("the text names metrics of the mesh (%s here, %s in all), and nothing is known to read it", strings.TrimSpace(found), times(count)))
	}
}
