package v1alpha1

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	sjson "sigs.k8s.io/json"
)

// MaxDocument bounds the bytes of one document after decompression.
const MaxDocument = 256 << 20

// maxErrors bounds how many errors of one document are listed.
const maxErrors = 20

// UnmarshalJSON keeps integers as int64, as the API machinery does.
func (c *Content) UnmarshalJSON(b []byte) error {
	m := map[string]any{}
	if err := sjson.UnmarshalCaseSensitivePreserveInts(b, &m); err != nil {
		return err
	}
	*c = m
	return nil
}

// InputError is one thing wrong with a document, and where. Line 0 means that
// the document as a whole is meant.
type InputError struct {
	File string
	Line int
	Msg  string
}

// Error is "file:line: message".
func (e *InputError) Error() string {
	if e.Line <= 0 {
		return e.File + ": " + e.Msg
	}
	return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Msg
}

// Decode reads one document strictly: an unknown or repeated field, a value of
// the wrong type, the wrong apiVersion or kind, a second document are errors
// that name file and line. YAML and JSON are accepted, plain or gzipped, up to
// MaxDocument bytes. name is what errors call the input. Errors of the reader are
// wrapped; all others are *InputError, several of them joined.
func Decode[T any](name string, r io.Reader) (*T, error) {
	v := new(T)
	if _, err := decode(name, r, v, false); err != nil {
		return nil, err
	}
	return v, nil
}

// decode fills v and, when asked, gives the line of each field path.
func decode(name string, r io.Reader, v any, positions bool) (map[string]int, error) {
	b, err := readAll(name, r)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if looksLikeJSON(b) {
		err := decodeStrict(name, b, v, func() (map[string]int, error) { return jsonLines(b, 1) })
		if err != nil || !positions {
			return nil, err
		}
		return jsonLines(b, 1)
	}
	tree, lines, err := decodeYAML(b, 1, positions, false)
	if err != nil {
		return nil, inputError(name, err)
	}
	if tree == nil {
		return nil, &InputError{File: name, Msg: "the document is empty"}
	}
	if _, ok := tree.(map[string]any); !ok {
		return nil, &InputError{File: name, Line: 1, Msg: ErrNotObject.Error()}
	}
	j, err := json.Marshal(tree)
	if err != nil {
		return nil, &InputError{File: name, Msg: err.Error()}
	}
	return lines, decodeStrict(name, j, v, func() (map[string]int, error) {
		if positions {
			return lines, nil
		}
		_, lines, err := decodeYAML(b, 1, true, false)
		return lines, err
	})
}

// readAll reads at most MaxDocument bytes, unzipped.
func readAll(name string, r io.Reader) ([]byte, error) {
	br := bufio.NewReader(r)
	r = br
	if magic, err := br.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, &InputError{File: name, Msg: "not a gzip file: " + err.Error()}
		}
		r = z
	}
	b, err := io.ReadAll(io.LimitReader(r, MaxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > MaxDocument {
		return nil, &InputError{File: name, Msg: fmt.Sprintf("the document has more than %d MiB", MaxDocument>>20)}
	}
	if len(b) >= 2 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff) {
		return nil, &InputError{File: name, Line: 1, Msg: "the text is UTF-16; save it as UTF-8"}
	}
	return b, nil
}

func inputError(name string, err error) error {
	var s *SyntaxError
	if errors.As(err, &s) {
		return &InputError{File: name, Line: s.Line, Msg: s.Msg}
	}
	return &InputError{File: name, Msg: err.Error()}
}

// head is what tells documents apart.
type head struct {
	APIVersion any `json:"apiVersion"`
	Kind       any `json:"kind"`
}

// decodeStrict decodes JSON. Positions are computed only to name a line.
func decodeStrict(name string, b []byte, v any, positions func() (map[string]int, error)) error {
	strict, err := sjson.UnmarshalStrict(b, v)
	if err == nil && len(strict) == 0 {
		return checkHead(name, v, positions)
	}
	lines, perr := positions()
	if ok, off := sjson.SyntaxErrorOffset(err); ok && perr != nil {
		return &InputError{File: name, Line: lineAt(b, off), Msg: err.Error()}
	}
	var h head
	if json.Unmarshal(b, &h) == nil {
		if err := wrongHead(name, h, v, lines); err != nil {
			return err
		}
	}
	var errs []error
	if err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) {
			path := pathAt(b, t.Offset)
			errs = append(errs, &InputError{File: name, Line: lines[path], Msg: fmt.Sprintf("%s: %s where %s is expected", path, t.Value, typeName(t.Type.String()))})
		} else {
			errs = append(errs, &InputError{File: name, Msg: err.Error()})
		}
	}
	for _, s := range strict[:min(len(strict), maxErrors)] {
		in := &InputError{File: name, Msg: s.Error()}
		if f, ok := s.(interface{ FieldPath() string }); ok {
			in.Line = lines[f.FieldPath()]
		}
		errs = append(errs, in)
	}
	return errors.Join(errs...)
}

// typeName says a Go type in words of the document.
func typeName(goType string) string {
	switch t := strings.TrimLeft(goType, "*"); {
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case strings.HasPrefix(t, "map["), strings.HasPrefix(t, "v1alpha1.") && t != "v1alpha1.Capability":
		return "an object"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "an integer"
	case t == "bool":
		return "true or false"
	}
	return "a string"
}

func lineAt(b []byte, offset int64) int {
	return 1 + bytes.Count(b[:max(0, min(int(offset), len(b)))], []byte("\n"))
}

// pathAt is the path of the value that ends at, or contains, the offset.
func pathAt(b []byte, offset int64) string {
	w := jsonWalker{dec: json.NewDecoder(bytes.NewReader(b)), b: b, line: 1, lines: map[string]int{}}
	return w.find("", offset)
}

// find descends to the value at the offset.
func (w *jsonWalker) find(path string, offset int64) string {
	tok, err := w.dec.Token()
	if err != nil {
		return path
	}
	if w.dec.InputOffset() >= offset {
		return path
	}
	open, ok := tok.(json.Delim)
	if !ok {
		return ""
	}
	for i := 0; w.dec.More(); i++ {
		p := path + "[" + strconv.Itoa(i) + "]"
		if open == '{' {
			key, err := w.dec.Token()
			if err != nil {
				return path
			}
			p = FieldPath(path, key.(string))
		}
		if found := w.find(p, offset); found != "" {
			return found
		}
	}
	if _, err := w.dec.Token(); err != nil || w.dec.InputOffset() >= offset {
		return path
	}
	return ""
}

// kindOf is the kind that a document type has to carry; "" for other types.
func kindOf(v any) (kind string, meta *TypeMeta) {
	switch v := v.(type) {
	case *Inventory:
		return KindInventory, &v.TypeMeta
	case *FeatureNeeds:
		return KindFeatureNeeds, &v.TypeMeta
	case *MigrationPolicy:
		return KindMigrationPolicy, &v.TypeMeta
	case *MigrationPlan:
		return KindMigrationPlan, &v.TypeMeta
	case *FleetPlan:
		return KindFleetPlan, &v.TypeMeta
	case *Assessment:
		return KindAssessment, &v.TypeMeta
	case *AssessmentReport:
		return KindAssessmentReport, &v.TypeMeta
	}
	return "", nil
}

// checkHead checks apiVersion and kind of a decoded document.
func checkHead(name string, v any, positions func() (map[string]int, error)) error {
	_, meta := kindOf(v)
	if meta == nil {
		return nil
	}
	h := head{APIVersion: meta.APIVersion, Kind: meta.Kind}
	if wrongHead(name, h, v, nil) == nil {
		return nil
	}
	lines, err := positions()
	if err != nil {
		lines = nil
	}
	return wrongHead(name, h, v, lines)
}

func wrongHead(name string, h head, v any, lines map[string]int) error {
	kind, meta := kindOf(v)
	if meta == nil {
		return nil
	}
	line := func(path string) int { return max(1, lines[path]) }
	if h.Kind != kind {
		return &InputError{File: name, Line: line("kind"), Msg: fmt.Sprintf("kind is %s where %q is expected", shown(h.Kind), kind)}
	}
	if h.APIVersion != APIVersion {
		return &InputError{File: name, Line: line("apiVersion"), Msg: fmt.Sprintf("apiVersion is %s where %q is expected", shown(h.APIVersion), APIVersion)}
	}
	return nil
}

func shown(v any) string {
	if s, ok := v.(string); ok && s != "" {
		return strconv.Quote(s)
	}
	return "missing"
}

// Encode writes a document as YAML, keys in alphabetical order. Every string
// survives: those that the emitter would write so that no reader takes them back
// are put in quotes.
func Encode(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var tree any
	if err := sjson.UnmarshalCaseSensitivePreserveInts(b, &tree); err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	e.CompactSeqIndent()
	if hasHostile(tree) {
		tree = nodeOf(tree)
	}
	if err := e.Encode(tree); err != nil {
		return err
	}
	return e.Close()
}

// hostile tells whether the encoder would write a string as a block that no YAML
// reader takes back: one with tabs, carriage returns or Unicode line breaks, or
// one that begins with white space; or plain where a reader takes it for a merge
// key. Annotations may hold any of these.
func hostile(s string) bool {
	return s == "<<" || strings.ContainsAny(s, "\t\r\u0085\u2028\u2029\ufeff") || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\n")
}

func hasHostile(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for k, c := range v {
			if hostile(k) || hasHostile(c) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(v, hasHostile)
	case string:
		return hostile(v)
	}
	return false
}

// nodeOf turns a JSON value into a YAML node in which hostile strings are in
// double quotes. Keys are sorted.
func nodeOf(v any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode}
	switch v := v.(type) {
	case map[string]any:
		n.Kind, n.Tag = yaml.MappingNode, "!!map"
		for _, k := range slices.Sorted(maps.Keys(v)) {
			n.Content = append(n.Content, nodeOf(k), nodeOf(v[k]))
		}
	case []any:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		for _, c := range v {
			n.Content = append(n.Content, nodeOf(c))
		}
	case string:
		n.SetString(v)
		// The encoder knows which plain words mean something else in YAML, but not
		// when it is given a node.
		if b, err := yaml.Marshal(v); err != nil || hostile(v) || b[0] == '"' || b[0] == '\'' {
			n.Style = yaml.DoubleQuotedStyle
		}
	case nil:
		n.Tag, n.Value = "!!null", "null"
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(v)
	case int64:
		n.Tag, n.Value = "!!int", strconv.FormatInt(v, 10)
	case float64:
		n.Tag, n.Value = "!!float", strconv.FormatFloat(v, 'g', -1, 64)
	}
	return n
}
