package source

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// dashboardMap reads dashboards in a ConfigMap, as Grafana's sidecar and OpenShift's console do: each key is one. It
// says whether there was any.
func (r *reader) dashboardMap(doc *span.Node) bool {
	o := objectOf(doc)
	o.Owner = ownerOf(doc)
	marked := doc.Get("metadata", "labels", "grafana_dashboard") != nil || doc.Get("metadata", "labels", "console.openshift.io/dashboard") != nil
	some := false
	for _, m := range doc.Map("data") {
		key := m.Key.String
		inner := inMap{r: r, object: o, path: fmt.Sprintf("data[%q].", key), marked: marked && strings.HasSuffix(key, ".json")}
		switch {
		case !m.Value.Is(span.String):
		case strings.HasSuffix(key, ".url"):
			r.taken[m.Value] = true
			some = true
			r.note(m.Value.At, o, Remote, "the dashboard is fetched from "+strings.TrimSpace(m.Value.Text.String))
		case inner.read(m.Value, m.Value.Text):
			r.taken[m.Value] = true
			some = true
		}
	}
	for _, m := range doc.Map("binaryData") {
		text, err := unpacked(m.Value.Str())
		inner := inMap{r: r, object: o, path: fmt.Sprintf("binaryData[%q].", m.Key.String), marked: marked, frozen: "the text is in binaryData: change what it was packed from"}
		switch {
		case err == nil && inner.pinned(m.Value, text):
			r.taken[m.Value] = true
			some = true
		case err != nil && marked:
			r.note(m.Value.At, o, Unreadable, "the binaryData cannot be unpacked: "+err.Error())
		}
	}
	return some
}

// inMap is a text in an object that may be a dashboard.
type inMap struct {
	r      *reader
	object Object
	path   string
	// marked says that the object claims that it is one.
	marked bool
	frozen string
}

// read says whether the text was a dashboard or something else that Grafana knows.
func (m inMap) read(n *span.Node, t span.Text) bool {
	json := strings.HasPrefix(strings.TrimSpace(t.String), "{")
	var docs []*span.Node
	var err error
	if json {
		var doc *span.Node
		doc, err = span.JSON(t)
		docs = []*span.Node{doc}
	} else if strings.Contains(t.String, "panels") || strings.Contains(t.String, "groups") || strings.Contains(t.String, "elements") {
		docs, err = span.YAML(t)
	}
	if err != nil {
		if !m.marked {
			return false
		}
		m.r.broken(n, t, m.object, err)
		return true
	}
	outer, prefix, frozen := m.r.within, m.r.prefix, m.r.frozen
	defer func() { m.r.within, m.r.prefix, m.r.frozen = outer, prefix, frozen }()
	m.r.within, m.r.prefix, m.r.frozen = &m.object, prefix+m.path, m.frozen
	some := false
	for _, doc := range docs {
		if doc.Str("kind") != "ConfigMap" && m.r.grafana(doc) {
			some = true
		}
	}
	if !some && m.marked {
		m.r.note(n.At, m.object, Suspicious, "the object says that this is a dashboard, and it is none that is known")
	}
	return some
}

// broken notes that a text in a value cannot be read, where a template begins if it holds one.
func (r *reader) broken(n *span.Node, t span.Text, o Object, err error) {
	at, text := n.At, err.Error()
	if i := strings.Index(t.String, "{{"); i >= 0 {
		if place, ok := t.Offset(i); ok {
			at = place
		}
		text = "the text is a template, here for the first time: give what it renders to, such as the output of helm template (" + text + ")"
	}
	r.note(at, o, Unreadable, text)
}

// pinned reads a text that has no place of its own: all that is found is at n.
func (m inMap) pinned(n *span.Node, text string) bool {
	at := n.At
	m.r.pin = &at
	defer func() { m.r.pin = nil }()
	return m.read(n, span.Text{String: text})
}

// maxUnpacked is how large a packed dashboard may be, in bytes.
const maxUnpacked = 32 << 20

var errTooLarge = errors.New("it unpacks to more than 32 MiB")

// unpacked decodes base64, and gzip if it is that.
func unpacked(packed string) (string, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(packed), ""))
	if err != nil || !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return string(data), err
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	out, err := io.ReadAll(io.LimitReader(z, maxUnpacked+1))
	if err == nil && len(out) > maxUnpacked {
		err = errTooLarge
	}
	return string(out), err
}

// operated reads the resources of Grafana's operator, of both API groups (observability.md 4.1).
func (r *reader) operated(doc *span.Node, kind string) bool {
	o := objectOf(doc)
	o.Owner = ownerOf(doc)
	spec := doc.Get("spec")
	switch kind {
	case "GrafanaDashboard", "GrafanaLibraryPanel":
		r.operatedModel(spec, o, kind == "GrafanaLibraryPanel")
		return true
	case "GrafanaAlertRuleGroup":
		if o.Owner == "" {
			o.Owner = either(spec.Str("folderRef"), spec.Str("folderUID"))
		}
		r.alertRules(spec, "spec.", o)
		return true
	case "Grafana", "GrafanaDatasource", "GrafanaFolder", "GrafanaContactPoint", "GrafanaNotificationPolicy", "GrafanaMuteTiming":
		return true
	}
	return false
}

// operatedModel reads the sources that a dashboard or library panel may have.
func (r *reader) operatedModel(spec *span.Node, o Object, panel bool) {
	some := false
	read := func(m inMap, n *span.Node, t span.Text, pinned bool) {
		switch {
		case panel:
			m.libraryPanel(n, t, pinned)
		case pinned:
			m.pinned(n, t.String)
		default:
			m.read(n, t)
		}
	}
	for _, m := range spec.Map() {
		n := m.Value
		switch m.Key.String {
		case "json":
			if filled(n) {
				read(inMap{r: r, object: o, path: "spec.json.", marked: true}, n, n.Text, false)
			}
		case "gzipJson":
			text, err := unpacked(n.Str())
			if err != nil {
				r.note(n.At, o, Unreadable, "gzipJson cannot be unpacked: "+err.Error())
			} else {
				read(inMap{r: r, object: o, path: "spec.gzipJson.", marked: true, frozen: "the text is packed in gzipJson: put the dashboard into json, and change it there"},
					n, span.Text{String: text}, true)
			}
		case "url":
			r.note(n.At, o, Remote, "the dashboard is fetched from "+n.Str())
		case "grafanaCom":
			r.note(n.At, o, Remote, grafanaCom(n.Str("id"), n.Str("revision")))
		case "configMapRef":
			r.note(n.At, o, Remote, fmt.Sprintf("the dashboard is key %s of ConfigMap %s: it is read if that is among the files", n.Str("key"), n.Str("name")))
		case "jsonnet", "jsonnetLib":
			r.note(n.At, o, Unreadable, "the dashboard is written in jsonnet: give what it renders to")
		default:
			continue
		}
		some = true
	}
	if !some {
		r.note(place(spec), o, Suspicious, "the object has no dashboard")
	}
}

// libraryPanel reads one panel as a dashboard that has it alone.
func (m inMap) libraryPanel(n *span.Node, t span.Text, pinned bool) {
	doc, err := span.JSON(t)
	if err != nil {
		m.r.broken(n, t, m.object, err)
		return
	}
	if pinned {
		at := n.At
		m.r.pin = &at
		defer func() { m.r.pin = nil }()
	}
	if model := doc.Get("model"); model.Is(span.Object) {
		m.path += "model."
		doc = model
	}
	b := m.r.board(m.path, m.object, m.frozen)
	b.onePanel(doc, "")
}

// istioDashboards are those that Istio's release job uploads to grafana.com (prow/release-commit.sh): what a migration
// does to them is known without a download.
var istioDashboards = map[string]string{
	"7639": "mesh", "7636": "service", "7630": "workload", "11829": "performance", "7645": "control plane", "13277": "wasm extension", "21306": "ztunnel",
}

func grafanaCom(id, revision string) string {
	at := "the dashboard " + id + " of grafana.com"
	if revision != "" {
		at += ", revision " + revision
	}
	if name := istioDashboards[id]; name != "" {
		return at + ", is Istio's own " + name + " dashboard: take the revision of the Istio version that you migrate to, and see what this tool says of that version's file"
	}
	return at + ", is not in the files"
}

// place of a node, the beginning of the file for one that is missing.
func place(n *span.Node) int {
	if n == nil {
		return 0
	}
	return n.At
}
