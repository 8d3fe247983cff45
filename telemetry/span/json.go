package span

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep documents may nest.
const maxDepth = 500

// JSON reads one JSON value. It fails where encoding/json would, with the line of the text, and on documents that
// nest deeper than 500 levels.
func JSON(t Text) (*Node, error) {
	r := jsonReader{t: t, s: t.String}
	n, err := r.value(0)
	if err == nil {
		if r.space(); r.i < len(r.s) {
			err = r.fail("there is more after the value")
		}
	}
	return n, err
}

type jsonReader struct {
	t Text
	s string
	i int
}

func (r *jsonReader) fail(format string, a ...any) error {
	line, column := Position(r.s, r.i)
	return fmt.Errorf("JSON, line %d column %d: %s", line, column, fmt.Sprintf(format, a...))
}

func (r *jsonReader) space() {
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n", r.s[r.i]) >= 0 {
		r.i++
	}
}

// place of an offset of the text in the file.
func (r *jsonReader) place(i int) int {
	if r.t.origin != nil {
		return r.t.origin(i)
	}
	return r.t.start
}

func (r *jsonReader) value(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, r.fail("it nests deeper than %d levels", maxDepth)
	}
	r.space()
	if r.i >= len(r.s) {
		return nil, r.fail("it ends where a value is expected")
	}
	n := &Node{At: r.place(r.i)}
	var err error
	switch c := r.s[r.i]; {
	case c == '{':
		n.Kind = Object
		err = r.object(n, depth)
	case c == '[':
		n.Kind = List
		err = r.list(n, depth)
	case c == '"':
		n.Kind = String
		n.Text, err = r.str()
	default:
		err = r.literal(n)
	}
	return n, err
}

func (r *jsonReader) literal(n *Node) error {
	from := r.i
	for r.i < len(r.s) && strings.IndexByte(" \t\r\n,]}:\"[{", r.s[r.i]) < 0 {
		r.i++
	}
	word := r.s[from:r.i]
	if !json.Valid([]byte(word)) {
		r.i = from
		return r.fail("%.40q is no value", word)
	}
	n.Kind = Literal
	if word == "null" {
		n.Kind = Null
	}
	same := func(s string) (string, error) {
		if !json.Valid([]byte(s)) {
			return "", fmt.Errorf("%.40q is no JSON value", s)
		}
		return r.t.escaped(s)
	}
	n.Text = Text{String: word, start: r.place(from), end: r.place(r.i)}
	if r.t.origin != nil {
		n.Text.whole = same
	}
	return nil
}

// escaped is a string in the notation of the text's file.
func (t Text) escaped(s string) (string, error) {
	if t.escape == nil {
		return "", errNoPlace
	}
	return t.escape(s)
}

func (r *jsonReader) next(want byte) bool {
	r.space()
	if r.i < len(r.s) && r.s[r.i] == want {
		r.i++
		return true
	}
	return false
}

func (r *jsonReader) object(n *Node, depth int) error {
	r.i++
	if r.next('}') {
		return nil
	}
	for {
		r.space()
		if r.i >= len(r.s) || r.s[r.i] != '"' {
			return r.fail("a key is expected")
		}
		key, err := r.str()
		if err != nil {
			return err
		}
		if !r.next(':') {
			return r.fail("a colon is expected")
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Members = append(n.Members, Member{key, v})
		if r.next(',') {
			continue
		}
		if r.next('}') {
			return nil
		}
		return r.fail("a comma or } is expected")
	}
}

func (r *jsonReader) list(n *Node, depth int) error {
	r.i++
	if r.next(']') {
		return nil
	}
	for {
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.Items = append(n.Items, v)
		if r.next(',') {
			continue
		}
		if r.next(']') {
			return nil
		}
		return r.fail("a comma or ] is expected")
	}
}

// str reads a string; at holds, for each byte of the decoded string, where its notation begins in the text.
func (r *jsonReader) str() (Text, error) {
	open := r.i
	r.i++
	var b strings.Builder
	plain := true
	var at []int
	put := func(s string, from int) {
		for range len(s) {
			at = append(at, from)
		}
		b.WriteString(s)
	}
	for {
		if r.i >= len(r.s) {
			return Text{}, r.fail("a string does not end")
		}
		switch c := r.s[r.i]; {
		case c == '"':
			at = append(at, r.i)
			r.i++
			return r.text(b.String(), open, r.i, at, plain), nil
		case c < ' ':
			return Text{}, r.fail("a control character stands in a string")
		case c == '\\':
			plain = false
			from := r.i
			s, err := r.escapeSequence()
			if err != nil {
				return Text{}, err
			}
			put(s, from)
		default:
			_, size := utf8.DecodeRuneInString(r.s[r.i:])
			for k := range size {
				at = append(at, r.i+k)
			}
			b.WriteString(r.s[r.i : r.i+size])
			r.i += size
		}
	}
}

func (r *jsonReader) escapeSequence() (string, error) {
	if r.i+1 >= len(r.s) {
		return "", r.fail("a string does not end")
	}
	c := r.s[r.i+1]
	if k := strings.IndexByte(`"\/bfnrt`, c); k >= 0 {
		r.i += 2
		return "\"\\/\b\f\n\r\t"[k : k+1], nil
	}
	if c != 'u' {
		return "", r.fail("\\%c is no escape sequence", c)
	}
	one, ok := r.hex(r.i + 2)
	if !ok {
		return "", r.fail("\\u needs four hexadecimal digits")
	}
	r.i += 6
	if utf16.IsSurrogate(one) {
		if strings.HasPrefix(r.s[r.i:], `\u`) {
			if two, ok := r.hex(r.i + 2); ok {
				if full := utf16.DecodeRune(one, two); full != utf8.RuneError {
					r.i += 6
					return string(full), nil
				}
			}
		}
		one = utf8.RuneError
	}
	return string(one), nil
}

func (r *jsonReader) hex(i int) (rune, bool) {
	if i+4 > len(r.s) {
		return 0, false
	}
	var v rune
	for _, c := range []byte(r.s[i : i+4]) {
		d := strings.IndexByte("0123456789abcdef", c|0x20)
		if c < 0x40 {
			d = strings.IndexByte("0123456789", c)
		}
		if d < 0 {
			return 0, false
		}
		v = v<<4 | rune(d)
	}
	return v, true
}

func (r *jsonReader) text(s string, open, end int, at []int, plain bool) Text {
	t := Text{String: s, start: r.place(open), end: r.place(end)}
	outer := r.t
	if outer.origin == nil {
		return t
	}
	if outer.folded != nil {
		t.folded = func(i int) bool { return outer.folded(open + 1 + i) }
		if !plain {
			t.folded = func(i int) bool { return outer.folded(at[i]) }
		}
	}
	if plain {
		t.origin = func(i int) int { return outer.origin(open + 1 + i) }
	} else {
		t.origin = func(i int) int { return outer.origin(at[i]) }
	}
	t.escape = func(part string) (string, error) {
		quoted, err := jsonQuoted(part)
		if err != nil {
			return "", err
		}
		return outer.escaped(quoted[1 : len(quoted)-1])
	}
	t.whole = func(all string) (string, error) {
		quoted, err := jsonQuoted(all)
		if err != nil {
			return "", err
		}
		return outer.escaped(quoted)
	}
	return t
}

// jsonQuoted writes a string as Grafana does: < > & stay as they are.
func jsonQuoted(s string) (string, error) {
	if !utf8.ValidString(s) {
		return "", fmt.Errorf("%.40q is not UTF-8", s)
	}
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return "", err
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}
