package source

import (
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 32 << 20

// Parse reads one file of a name. It never fails: what cannot be read is a note.
func Parse(path string, data string) *File {
	f := &File{Path: path, Data: data}
	r := &reader{file: f}
	if len(data) > maxFile {
		r.note(0, Object{}, Unreadable, "the file is larger than 32 MiB and was not read")
		return f
	}
	docs, err := documents(path, span.File(data))
	if err != nil {
		r.note(0, Object{}, Unreadable, err.Error())
		return f
	}
	for _, d := range docs {
		r.document(d)
	}
	return f
}

// documents of a file, by its name.
func documents(path string, t span.Text) ([]*span.Node, error) {
	if strings.HasSuffix(path, ".json") {
		n, err := span.JSON(t)
		return []*span.Node{n}, err
	}
	return span.YAML(t)
}

// reader collects what is found in a file.
type reader struct {
	file *File
}

// document hands a document to those who may know it; the first one that does takes it.
func (r *reader) document(doc *span.Node) {
	for _, known := range []func(*span.Node) bool{r.grafana, r.manifest} {
		if known(doc) {
			return
		}
	}
}

// grafana reads what Grafana and its operators know: dashboards in all forms, alert provisioning.
func (r *reader) grafana(*span.Node) bool { return false }

// manifest reads what everybody else knows: rules, SLOs, autoscalers, canary analyses, scrape configurations.
func (r *reader) manifest(*span.Node) bool { return false }

func (r *reader) note(at int, o Object, k NoteKind, text string) {
	line, column := span.Position(r.file.Data, at)
	r.file.Notes = append(r.file.Notes, Note{r.file.Path, line, column, o, k, text})
}
