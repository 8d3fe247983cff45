package source

import (
	"errors"
	"strings"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

var errNoSplice = errors.New("the place of a list in the file is not known")

// token is where the notation of a string or literal stands in the file, quotes included.
func token(t span.Text) (start, end int, ok bool) {
	e, err := t.Replace("0")
	if err != nil || len(e) != 1 {
		return 0, 0, false
	}
	return e[0].Start, e[0].End, true
}

// extent is where the notation of a value stands in the file. An object in braces ends with its brace; in YAML's block
// notation it ends with its last line.
func (r *reader) extent(n *span.Node) (start, end int, ok bool) {
	if n.Is(span.String) || n.Is(span.Literal) || n.Is(span.Null) {
		return token(n.Text)
	}
	start, end = n.At, n.At
	var inner []*span.Node
	inner = append(inner, n.Items...)
	for _, m := range n.Members {
		inner = append(inner, m.Value)
	}
	for _, v := range inner {
		_, to, ok := r.extent(v)
		if !ok || to < end {
			return 0, 0, false
		}
		end = to
	}
	data := r.file.Data
	if start >= len(data) || data[start] != '{' && data[start] != '[' {
		return start, end, len(inner) > 0
	}
	rest := strings.TrimLeft(data[end:], " \t\r\n,")
	if len(inner) == 0 {
		rest = strings.TrimLeft(data[start+1:], " \t\r\n")
	}
	if rest == "" || rest[0] != '}' && rest[0] != ']' {
		return 0, 0, false
	}
	return start, len(data) - len(rest) + 1, true
}

// repeat copies an item of a list, once for each of more, behind itself: old becomes the new value in each copy. The
// copies are of the file's bytes, so that they look as the list does.
func (r *reader) repeat(item *span.Node, old string, more []string) ([]span.Edit, error) {
	start, end, ok := r.extent(item)
	if !ok {
		return nil, errNoSplice
	}
	data := r.file.Data
	line := strings.LastIndexByte(data[:start], '\n') + 1
	before := data[line:start]
	gap := data[len(strings.TrimRight(data[:start], " \t\r\n")):start]
	separator := ","
	if strings.HasPrefix(strings.TrimLeft(before, " "), "- ") && strings.Trim(before, " -") == "" && data[start] != '{' {
		// YAML's block notation: whole lines are copied.
		if n := strings.IndexByte(data[end:], '\n'); n >= 0 {
			end += n
		} else {
			end = len(data)
		}
		start, gap, separator = line, "", "\n"
	}
	text := ""
	for _, value := range more {
		piece, err := r.rewritten(item, start, end, old, value)
		if err != nil {
			return nil, err
		}
		text += separator + gap + piece
	}
	return []span.Edit{{Start: end, End: end, Text: text}}, nil
}

// rewritten is a piece of the file in which the item's strings that are old have become another value.
func (r *reader) rewritten(item *span.Node, start, end int, old, value string) (string, error) {
	var edits []span.Edit
	var walk func(n *span.Node) error
	walk = func(n *span.Node) error {
		if n.Is(span.String) && n.Text.String == old {
			e, err := n.Text.Edits([]span.Edit{{End: len(old), Text: value}})
			if err != nil {
				return err
			}
			edits = append(edits, e...)
		}
		for _, i := range n.List() {
			if err := walk(i); err != nil {
				return err
			}
		}
		for _, m := range n.Map() {
			if err := walk(m.Value); err != nil {
				return err
			}
		}
		return nil
	}
	if err := walk(item); err != nil {
		return "", err
	}
	for i := range edits {
		edits[i].Start -= start
		edits[i].End -= start
	}
	return span.Apply(r.file.Data[start:end], edits)
}

// listed makes a list of a string and more values.
func (r *reader) listed(n *span.Node, more []string) ([]span.Edit, error) {
	start, end, ok := token(n.Text)
	if !ok {
		return nil, errNoSplice
	}
	text := "[" + r.file.Data[start:end]
	for _, value := range more {
		piece, err := r.rewritten(n, start, end, n.Text.String, value)
		if err != nil {
			return nil, err
		}
		text += ", " + piece
	}
	return []span.Edit{{Start: start, End: end, Text: text + "]"}}, nil
}
