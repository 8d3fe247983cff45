package span

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxNodes is how many values a YAML text may have, aliases expanded.
const maxNodes = 500_000

// YAML reads all documents of a YAML text; empty ones are left out. It fails on what is not YAML, with the line of
// the text, on documents deeper than 500 levels and on those whose aliases expand to more than half a million values.
//
// What stands behind an alias has no place of its own and is not editable: a change there would change other values
// as well.
func YAML(t Text) ([]*Node, error) {
	r := yamlReader{t: t, lines: lineStarts(t.String)}
	var docs []*Node
	d := yaml.NewDecoder(bytes.NewReader([]byte(t.String)))
	for {
		var doc yaml.Node
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, fmt.Errorf("YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(doc.Content) == 0 {
			continue
		}
		n, err := r.node(doc.Content[0], 0, false, false)
		if err != nil {
			return nil, err
		}
		if n.Kind != Null {
			docs = append(docs, n)
		}
	}
}

func lineStarts(s string) []int {
	starts := []int{0}
	for i := range len(s) {
		if s[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

type yamlReader struct {
	t     Text
	lines []int
	nodes int
	// line, column and at are where offset was last asked for: columns count characters, so a long line is walked
	// once and not again for each of its values.
	line, column, at int
}

// offset of a node in the text; -1 when the line or the column does not exist.
func (r *yamlReader) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(r.lines) {
		return -1
	}
	i, c := r.lines[n.Line-1], 1
	if n.Line == r.line && n.Column >= r.column {
		i, c = r.at, r.column
	}
	for ; c < n.Column; c++ {
		if i >= len(r.t.String) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(r.t.String[i:])
		i += size
	}
	r.line, r.column, r.at = n.Line, n.Column, i
	return i
}

func (r *yamlReader) place(i int) int {
	if i < 0 || r.t.origin == nil {
		return r.t.start
	}
	return r.t.origin(i)
}

func (r *yamlReader) node(n *yaml.Node, depth int, flow, alias bool) (*Node, error) {
	if r.nodes++; depth > maxDepth || r.nodes > maxNodes {
		return nil, fmt.Errorf("YAML, line %d: it nests deeper than %d levels, or has more than %d values", n.Line, maxDepth, maxNodes)
	}
	out := &Node{At: r.place(r.offset(n))}
	flow = flow || n.Style&yaml.FlowStyle != 0
	switch n.Kind {
	case yaml.AliasNode:
		return r.node(n.Alias, depth+1, flow, true)
	case yaml.MappingNode:
		out.Kind = Object
		return out, r.members(out, n, depth, flow, alias)
	case yaml.SequenceNode:
		out.Kind = List
		for _, c := range n.Content {
			v, err := r.node(c, depth+1, flow, alias)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, v)
		}
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			out.Kind = Null
		case "!!int", "!!float", "!!bool":
			out.Kind = Literal
		default:
			out.Kind = String
		}
		out.Text = r.scalar(n, flow, alias)
	case yaml.DocumentNode:
		return nil, fmt.Errorf("YAML, line %d: a document inside of a document", n.Line)
	}
	return out, nil
}

func (r *yamlReader) members(out *Node, n *yaml.Node, depth int, flow, alias bool) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		v, err := r.node(n.Content[i+1], depth+1, flow, alias)
		if err != nil {
			return err
		}
		if k.ShortTag() == "!!merge" {
			// What is merged in stands before the rest, so that the object's own keys win.
			merged := v.Members
			for _, item := range v.Items {
				merged = append(merged, item.Members...)
			}
			out.Members = append(append([]Member{}, merged...), out.Members...)
			continue
		}
		key, err := r.node(k, depth+1, flow, alias)
		if err != nil {
			return err
		}
		out.Members = append(out.Members, Member{key.Text, v})
	}
	return nil
}

// scalar finds where the bytes of a scalar stand. Where that does not give the value that the parser read, the text
// has no place, so a mistake here never becomes a wrong edit.
func (r *yamlReader) scalar(n *yaml.Node, flow, alias bool) Text {
	none := Text{String: n.Value, start: r.place(r.offset(n))}
	i := r.offset(n)
	if alias || i < 0 || r.t.origin == nil {
		return none
	}
	i = r.properties(i)
	var s scanned
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		s = scanBlock(r.t.String, i, n.Style&yaml.FoldedStyle != 0)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		s = scanDouble(r.t.String, i)
	case n.Style&yaml.SingleQuotedStyle != 0:
		s = scanSingle(r.t.String, i)
	default:
		s = scanPlain(r.t.String, i, n.Value)
		s.escape, s.whole = plainEscape, plainWhole(flow)
		s.check = plainCheck(flow)
	}
	return r.text(n.Value, s, none)
}

// properties skips an anchor and a tag in front of a scalar.
func (r *yamlReader) properties(i int) int {
	s := r.t.String
	for i < len(s) && (s[i] == '&' || s[i] == '!') {
		for i < len(s) && strings.IndexByte(" \t\r\n", s[i]) < 0 {
			i++
		}
		for i < len(s) && strings.IndexByte(" \t\r\n", s[i]) >= 0 {
			i++
		}
	}
	return i
}

func (r *yamlReader) text(value string, s scanned, none Text) Text {
	if s.end == 0 {
		return none
	}
	outer := r.t
	t := Text{String: value, start: outer.origin(s.start), end: outer.origin(s.end)}
	if s.whole != nil {
		t.whole = func(all string) (string, error) {
			notation, err := s.whole(all)
			if err != nil {
				return "", err
			}
			return outer.escaped(notation)
		}
	}
	if s.value == value && len(s.at) == len(value)+1 {
		t.origin = func(i int) int { return outer.origin(s.at[i]) }
		t.check = s.check
		if len(s.folds) > 0 {
			t.folded = func(i int) bool { return s.folds[i] }
		}
		t.escape = func(part string) (string, error) {
			notation, err := s.escape(part)
			if err != nil {
				return "", err
			}
			return outer.escaped(notation)
		}
	}
	return t
}
