package v1alpha1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
	sjson "sigs.k8s.io/json"
)

// Bounds on one parsed document. An object of Kubernetes has at most a few
// megabytes (etcd's request limit is 1.5 MiB), so no honest input meets them;
// without them a page of YAML aliases fills the memory.
const (
	maxNodes = 20_000_000
	maxDepth = 1_000
	// maxExpansion bounds the values that aliases add.
	maxExpansion = 1_000_000
)

// SyntaxError is text that is not the YAML or JSON that it should be. Line counts
// from 1 in the file; 0 means that the parser gave none.
type SyntaxError struct {
	Line int
	Msg  string
}

// Error is the message without the line, for callers that print file:line themselves.
func (e *SyntaxError) Error() string { return e.Msg }

// ErrNotObject is wrapped by the error for a document that is a list or a scalar.
var ErrNotObject = errors.New("the document is not an object")

// FieldPath adds a key to a field path: `metadata.labels["istio.io/rev"]`. A key
// with a dot, a slash, a bracket or a quote is quoted.
func FieldPath(path, key string) string {
	if key == "" || strings.ContainsAny(key, `.[]"/`) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// DecodeObject reads one YAML or JSON document that is an object, as kubectl
// would: YAML 1.1 booleans ("yes", "on"), merge keys and aliases (bounded),
// timestamps as strings, integers as int64. firstLine is the line of the first
// byte of b in its file. With positions, the second result maps each field path
// to its line. An empty document gives nil and no error. A repeated key is an
// error. Errors are *SyntaxError or wrap ErrNotObject.
func DecodeObject(b []byte, firstLine int, positions bool) (Content, map[string]int, error) {
	v, lines, err := decodeTree(b, firstLine, positions)
	if err != nil || v == nil {
		return nil, nil, err
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, nil, &SyntaxError{Line: firstLine, Msg: ErrNotObject.Error()}
	}
	return m, lines, nil
}

// decodeTree reads one document of any shape.
func decodeTree(b []byte, firstLine int, positions bool) (any, map[string]int, error) {
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if looksLikeJSON(b) {
		v, lines, err := decodeJSON(b, firstLine, positions)
		if err == nil {
			return v, lines, nil
		}
		// {a: b} is YAML.
		if y, ylines, yerr := decodeYAML(b, firstLine, positions, true); yerr == nil {
			return y, ylines, nil
		}
		return nil, nil, err
	}
	return decodeYAML(b, firstLine, positions, true)
}

// looksLikeJSON tells whether the first byte opens an object that is not a template action.
func looksLikeJSON(b []byte) bool {
	t := bytes.TrimLeft(b, " \t\r\n")
	return len(t) > 0 && t[0] == '{' && !bytes.HasPrefix(t, []byte("{{"))
}

func decodeJSON(b []byte, firstLine int, positions bool) (any, map[string]int, error) {
	if !utf8.Valid(b) {
		return nil, nil, &SyntaxError{Line: firstLine, Msg: "the text is not UTF-8"}
	}
	var v any
	strict, err := sjson.UnmarshalStrict(b, &v)
	if err != nil {
		line := firstLine
		if ok, off := sjson.SyntaxErrorOffset(err); ok {
			line += bytes.Count(b[:min(int(off), len(b))], []byte("\n"))
		}
		return nil, nil, &SyntaxError{Line: line, Msg: err.Error()}
	}
	if len(strict) > 0 {
		return nil, nil, &SyntaxError{Line: firstLine, Msg: strict[0].Error()}
	}
	if !positions {
		return v, nil, nil
	}
	lines, err := jsonLines(b, firstLine)
	if err != nil {
		return nil, nil, &SyntaxError{Line: firstLine, Msg: err.Error()}
	}
	return v, lines, nil
}

// jsonLines maps the field paths of a JSON document to lines.
func jsonLines(b []byte, firstLine int) (map[string]int, error) {
	w := jsonWalker{dec: json.NewDecoder(bytes.NewReader(b)), b: b, line: firstLine, lines: map[string]int{}}
	w.dec.UseNumber()
	err := w.value("", 0)
	return w.lines, err
}

type jsonWalker struct {
	dec   *json.Decoder
	b     []byte
	at    int
	line  int
	lines map[string]int
}

// here is the line up to which the decoder has read.
func (w *jsonWalker) here() int {
	off := int(w.dec.InputOffset())
	w.line += bytes.Count(w.b[w.at:off], []byte("\n"))
	w.at = off
	return w.line
}

func (w *jsonWalker) value(path string, depth int) error {
	tok, err := w.dec.Token()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return errors.New("the document is nested too deeply")
	}
	if path != "" {
		if _, ok := w.lines[path]; !ok {
			w.lines[path] = w.here()
		}
	}
	switch tok {
	case json.Delim('{'):
		for w.dec.More() {
			key, err := w.dec.Token()
			if err != nil {
				return err
			}
			p := FieldPath(path, key.(string))
			w.lines[p] = w.here()
			if err := w.value(p, depth+1); err != nil {
				return err
			}
		}
		_, err = w.dec.Token()
	case json.Delim('['):
		for i := 0; w.dec.More(); i++ {
			if err := w.value(path+"["+strconv.Itoa(i)+"]", depth+1); err != nil {
				return err
			}
		}
		_, err = w.dec.Token()
	}
	return err
}

// decodeYAML reads YAML 1.2, with yaml11 the booleans of YAML 1.1 as well: the
// API server's view of "on" is not that of our own documents, where it is a name.
func decodeYAML(b []byte, firstLine int, positions, yaml11 bool) (any, map[string]int, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, nil
		}
		return nil, nil, yamlError(err, b, firstLine)
	}
	var rest yaml.Node
	if err := dec.Decode(&rest); err == nil {
		if !isNull(&rest) {
			return nil, nil, &SyntaxError{Line: firstLine + rest.Line - 1, Msg: "more than one document where one is expected"}
		}
	} else if !errors.Is(err, io.EOF) {
		return nil, nil, yamlError(err, b, firstLine)
	}
	w := yamlWalker{yaml11: yaml11, offset: firstLine - 1, nodes: maxNodes, expansion: maxExpansion}
	if positions {
		w.lines = map[string]int{}
	}
	v, err := w.value(&doc, "", 0)
	if err != nil {
		return nil, nil, err
	}
	return v, w.lines, nil
}

func isNull(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.DocumentNode && (len(n.Content) == 0 || n.Content[0].ShortTag() == "!!null")
}

// yamlError moves the line of the YAML library's message to the file's line.
func yamlError(err error, b []byte, firstLine int) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if n, text, ok := strings.Cut(rest, ": "); ok {
			if i, err := strconv.Atoi(n); err == nil {
				line, msg = firstLine+i-1, text
			}
		}
	}
	if line == 0 {
		line = firstLine
	}
	if i := bytes.IndexByte(b, '\t'); i >= 0 && strings.Contains(msg, "cannot start any token") {
		msg += " (YAML forbids tabs for indentation)"
	}
	return &SyntaxError{Line: line, Msg: msg}
}

// yamlWalker turns nodes into values.
type yamlWalker struct {
	yaml11    bool
	offset    int
	nodes     int
	expansion int
	inAlias   int
	lines     map[string]int
}

func (w *yamlWalker) fail(n *yaml.Node, format string, args ...any) error {
	return &SyntaxError{Line: n.Line + w.offset, Msg: fmt.Sprintf(format, args...)}
}

func (w *yamlWalker) value(n *yaml.Node, path string, depth int) (any, error) {
	w.nodes--
	if w.inAlias > 0 {
		w.expansion--
	}
	switch {
	case depth > maxDepth:
		return nil, w.fail(n, "the document is nested too deeply, or an alias contains itself")
	case w.nodes < 0 || w.expansion < 0:
		return nil, w.fail(n, "the aliases of the document expand to too many values")
	}
	if w.lines != nil && path != "" {
		if _, ok := w.lines[path]; !ok {
			w.lines[path] = n.Line + w.offset
		}
	}
	switch n.Kind {
	case yaml.DocumentNode:
		if len(n.Content) == 0 {
			return nil, nil
		}
		return w.value(n.Content[0], path, depth)
	case yaml.AliasNode:
		w.inAlias++
		defer func() { w.inAlias-- }()
		return w.value(n.Alias, path, depth+1)
	case yaml.SequenceNode:
		out := make([]any, 0, len(n.Content))
		for i, c := range n.Content {
			p := ""
			if w.lines != nil {
				p = path + "[" + strconv.Itoa(i) + "]"
			}
			v, err := w.value(c, p, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, v)
		}
		return out, nil
	case yaml.MappingNode:
		out := make(map[string]any, len(n.Content)/2)
		return out, w.mapping(n, out, path, depth)
	case yaml.ScalarNode:
		return w.scalar(n)
	}
	return nil, nil
}

// mapping fills out. Explicit keys beat merged ones.
func (w *yamlWalker) mapping(n *yaml.Node, out map[string]any, path string, depth int) error {
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, c := n.Content[i], n.Content[i+1]
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			return w.fail(k, "a key is not a plain value")
		}
		if k.ShortTag() == "!!merge" {
			merges = append(merges, c)
			continue
		}
		if _, ok := out[k.Value]; ok {
			return w.fail(k, "duplicate field %q", k.Value)
		}
		p := ""
		if w.lines != nil {
			p = FieldPath(path, k.Value)
			w.lines[p] = k.Line + w.offset
		}
		v, err := w.value(c, p, depth+1)
		if err != nil {
			return err
		}
		out[k.Value] = v
	}
	for _, m := range merges {
		if err := w.merge(m, out, path, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *yamlWalker) merge(m *yaml.Node, out map[string]any, path string, depth int) error {
	if depth > maxDepth {
		return w.fail(m, "the document is nested too deeply, or an alias contains itself")
	}
	switch m.Kind {
	case yaml.AliasNode:
		w.inAlias++
		defer func() { w.inAlias-- }()
		return w.merge(m.Alias, out, path, depth+1)
	case yaml.SequenceNode:
		for _, c := range m.Content {
			if err := w.merge(c, out, path, depth+1); err != nil {
				return err
			}
		}
		return nil
	case yaml.MappingNode:
		merged := map[string]any{}
		sub := yamlWalker{yaml11: w.yaml11, offset: w.offset, nodes: w.nodes, expansion: w.expansion, inAlias: w.inAlias}
		if w.lines != nil {
			sub.lines = map[string]int{}
		}
		if err := sub.mapping(m, merged, path, depth+1); err != nil {
			return err
		}
		w.nodes, w.expansion = sub.nodes, sub.expansion
		for p, l := range sub.lines {
			if _, ok := w.lines[p]; !ok {
				w.lines[p] = l
			}
		}
		for k, v := range merged {
			if _, ok := out[k]; !ok {
				out[k] = v
			}
		}
		return nil
	}
	return w.fail(m, "a merge key must hold a mapping")
}

func (w *yamlWalker) scalar(n *yaml.Node) (any, error) {
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, w.fail(n, "%q is not a boolean", n.Value)
		}
		return b, nil
	case "!!int":
		var i int64
		if err := n.Decode(&i); err == nil {
			return i, nil
		}
		fallthrough
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil {
			return nil, w.fail(n, "%q is not a number", n.Value)
		}
		if f != f || f > 1e308 || f < -1e308 {
			return nil, w.fail(n, "%q cannot be written as JSON", n.Value)
		}
		return f, nil
	}
	if w.yaml11 && n.Style == 0 && n.Tag == "!!str" {
		// kubectl's YAML library follows YAML 1.1, where these are booleans.
		switch n.Value {
		case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
			return true, nil
		case "n", "N", "no", "No", "NO", "off", "Off", "OFF":
			return false, nil
		}
	}
	return n.Value, nil
}
