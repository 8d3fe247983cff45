package span

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// scanned is a YAML scalar as it stands in a text.
type scanned struct {
	// start and end are what a replacement of the whole replaces; an end of 0 means that nothing was found.
	start, end int
	// value is what was read, at the offset of each byte, and of the end.
	value string
	at    []int
	// folds are the offsets of value at which a line break of the text stands: see Text.
	folds map[int]bool
	// escape, whole and check as in Text.
	escape, whole func(string) (string, error)
	check         func(string) error
}

type collector struct {
	b     []byte
	at    []int
	folds map[int]bool
}

// breakAt says that a line break belongs to the byte that is put next.
func (c *collector) breakAt() {
	if c.folds == nil {
		c.folds = map[int]bool{}
	}
	c.folds[len(c.b)] = true
}

// fold reads a line break of a quoted scalar with the space around it: one is a space, two are a line break. It says
// false when there are more, whose parts cannot be told apart.
func (c *collector) fold(s string, i int) (next int, ok bool) {
	from, run := i, i
	for n := len(c.b); n > 0 && strings.IndexByte(" \t\r", s[c.at[n-1]]) >= 0; n-- {
		from = c.at[n-1]
		c.b, c.at = c.b[:n-1], c.at[:n-1]
	}
	for run < len(s) && strings.IndexByte(" \t\r\n", s[run]) >= 0 {
		run++
	}
	c.breakAt()
	switch strings.Count(s[i:run], "\n") {
	case 1:
		c.put(" ", from)
	case 2:
		c.put("\n", from)
	default:
		return run, false
	}
	return run, true
}

func (c *collector) put(s string, from int) {
	for range len(s) {
		c.at = append(c.at, from)
	}
	c.b = append(c.b, s...)
}

func (c *collector) done(end int) (string, []int) { return string(c.b), append(c.at, end) }

// errBroken says that a notation cannot hold a text.
var errBroken = errors.New("the notation in the file cannot hold the new text")

func scanDouble(s string, i int) scanned {
	out := scanned{start: i, whole: doubleQuoted}
	out.escape = func(part string) (string, error) {
		q, err := doubleQuoted(part)
		if err != nil {
			return "", err
		}
		return q[1 : len(q)-1], nil
	}
	if i >= len(s) || s[i] != '"' {
		return scanned{}
	}
	var c collector
	odd := false
	for i++; i < len(s); {
		switch s[i] {
		case '"':
			out.end = i + 1
			if !odd {
				out.value, out.at = c.done(i)
				out.folds = c.folds
			}
			return out
		case '\n':
			next, ok := c.fold(s, i)
			i, odd = next, odd || !ok
		case '\\':
			text, size := yamlEscape(s[i:])
			if size == 0 {
				odd, size = true, 2
			}
			c.put(text, i)
			i += size
		default:
			_, size := utf8.DecodeRuneInString(s[i:])
			for k := range size {
				c.at = append(c.at, i+k)
			}
			c.b = append(c.b, s[i:i+size]...)
			i += size
		}
	}
	return scanned{}
}

// yamlEscape decodes an escape sequence; size 0 means that it is one that folds lines, or none.
func yamlEscape(s string) (text string, size int) {
	if len(s) < 2 {
		return "", 0
	}
	simple := map[byte]string{
		'0': "\x00", 'a': "\a", 'b': "\b", 't': "\t", '\t': "\t", 'n': "\n", 'v': "\v", 'f': "\f", 'r': "\r", 'e': "\x1b",
		' ': " ", '"': `"`, '/': "/", '\\': `\`, 'N': "\u0085", '_': "\u00a0", 'L': "\u2028", 'P': "\u2029",
	}
	if t, ok := simple[s[1]]; ok {
		return t, 2
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if digits == 0 || len(s) < 2+digits {
		return "", 0
	}
	v, err := strconv.ParseUint(s[2:2+digits], 16, 32)
	if err != nil {
		return "", 0
	}
	return string(rune(v)), 2 + digits
}

func scanSingle(s string, i int) scanned {
	out := scanned{start: i, whole: singleQuoted}
	out.escape = func(part string) (string, error) {
		q, err := singleQuoted(part)
		if err != nil {
			return "", err
		}
		return q[1 : len(q)-1], nil
	}
	if i >= len(s) || s[i] != '\'' {
		return scanned{}
	}
	var c collector
	odd := false
	for i++; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "''"):
			c.put("'", i)
			i++
		case s[i] == '\'':
			out.end = i + 1
			if !odd {
				out.value, out.at = c.done(i)
				out.folds = c.folds
			}
			return out
		case s[i] == '\n':
			next, ok := c.fold(s, i)
			i, odd = next-1, odd || !ok
		default:
			c.put(s[i:i+1], i)
		}
	}
	return scanned{}
}

// scanPlain aligns the value with the text, in which a line break may stand for a space.
func scanPlain(s string, i int, value string) scanned {
	out := scanned{start: i}
	var c collector
	for k := range len(value) {
		if i < len(s) && s[i] == value[k] && value[k] != ' ' && value[k] != '\n' {
			c.put(value[k:k+1], i)
			i++
			continue
		}
		run := i
		for run < len(s) && strings.IndexByte(" \t\r\n", s[run]) >= 0 {
			run++
		}
		switch gap := s[i:run]; {
		case value[k] == ' ' && strings.Count(gap, "\n") == 1:
			c.breakAt()
			c.put(" ", i)
			i = run
		case value[k] == ' ' && i < len(s) && s[i] == ' ':
			c.put(" ", i)
			i++
		default:
			return scanned{}
		}
	}
	out.end, out.folds = i, c.folds
	out.value, out.at = c.done(i)
	return out
}

// scanBlock reads a literal or a folded block scalar.
func scanBlock(s string, i int, folded bool) scanned {
	if i >= len(s) || s[i] != '|' && s[i] != '>' {
		return scanned{}
	}
	out := scanned{start: i}
	header, rest, found := strings.Cut(s[i:], "\n")
	if !found {
		return scanned{}
	}
	indicators, _, _ := strings.Cut(strings.TrimRight(header[1:], "\r"), "#")
	indicators = strings.TrimSpace(indicators)
	keep, strip := strings.Contains(indicators, "+"), strings.Contains(indicators, "-")
	if strings.Trim(indicators, "+-") != "" {
		// An indentation indicator counts from the parent's indentation, which is not known here.
		return scanned{}
	}
	at := i + len(s[i:]) - len(rest)
	indent := blockIndent(s[at:])
	if indent == 0 {
		return scanned{}
	}
	var c collector
	odd := blockLines(s, at, indent, folded, &c, &out)
	if out.end == 0 {
		return scanned{}
	}
	out.escape = func(part string) (string, error) {
		return strings.ReplaceAll(part, "\n", "\n"+strings.Repeat(" ", indent)), printable(part)
	}
	if folded {
		out.escape = func(part string) (string, error) {
			if strings.Contains(part, "\n") {
				return "", errBroken
			}
			return part, printable(part)
		}
	}
	out.check = func(after string) error {
		if indented(after) || breaks(after) != breaks(out.value) {
			return errBroken
		}
		return nil
	}
	out.whole = func(all string) (string, error) { return literalBlock(all, indent) }
	if odd {
		return out
	}
	value, offsets := string(c.b), c.at
	out.folds = c.folds
	body := strings.TrimRight(value, "\n")
	switch {
	case strip || body == "":
		value = body
	case !keep && len(value) > len(body):
		value = body + "\n"
	}
	if keep || body == "" {
		return out
	}
	end := out.end
	if len(value) < len(offsets) {
		end = offsets[len(value)]
	}
	out.value, out.at = value, append(offsets[:len(value):len(value)], end)
	return out
}

// blockIndent is the indentation of a block scalar's content, 0 when it has none.
func blockIndent(s string) int {
	for s != "" {
		line, rest, _ := strings.Cut(s, "\n")
		if strings.TrimSpace(line) != "" {
			return len(line) - len(strings.TrimLeft(line, " "))
		}
		s = rest
	}
	return 0
}

// blockLines collects the content. It says true when the content folds in a way that is not followed.
func blockLines(s string, at, indent int, folded bool, c *collector, out *scanned) (odd bool) {
	first := true
	for at < len(s) {
		line, _, _ := strings.Cut(s[at:], "\n")
		next := at + len(line) + 1
		text := strings.TrimSuffix(line, "\r")
		blank := strings.Trim(text, " ") == ""
		if !blank && (len(text) < indent || strings.Trim(text[:indent], " ") != "") {
			break
		}
		if !blank || len(text) >= indent {
			text = text[indent:]
			if folded && !first && !blank {
				odd = odd || strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t")
			}
			if n := len(c.b); folded && n > 0 && c.b[n-1] == '\n' && !blank {
				// The line break before this line becomes a space.
				odd = odd || n > 1 && c.b[n-2] == '\n'
				c.b[n-1] = ' '
				if c.folds == nil {
					c.folds = map[int]bool{}
				}
				c.folds[n-1] = true
			}
			for k := range len(text) {
				c.put(text[k:k+1], at+indent+k)
			}
		}
		if !blank {
			out.end = at + len(strings.TrimSuffix(line, "\r"))
			first = false
		}
		if next <= len(s) {
			c.put("\n", min(at+len(strings.TrimSuffix(line, "\r")), len(s)))
		}
		at = next
	}
	return odd
}

func printable(s string) error {
	if !utf8.ValidString(s) {
		return errBroken
	}
	for _, c := range s {
		if c != '\n' && c != '\t' && (!unicode.IsPrint(c) || c == '\ufeff' || c == '\u2028' || c == '\u2029' || c == '\u0085') {
			return fmt.Errorf("%w: it has the character %U", errBroken, c)
		}
	}
	return nil
}

func singleQuoted(s string) (string, error) {
	if strings.Contains(s, "\n") {
		return "", errBroken
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'", printable(s)
}

// doubleQuoted: every JSON string is a double-quoted scalar.
func doubleQuoted(s string) (string, error) { return jsonQuoted(s) }

// breaks counts the line breaks at the end.
func breaks(s string) int { return len(s) - len(strings.TrimRight(s, "\n")) }

// indented says that the first line of a text would be taken for the indentation of a block.
func indented(s string) bool {
	s = strings.TrimLeft(s, "\n")
	return strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t")
}

func literalBlock(s string, indent int) (string, error) {
	if err := printable(s); err != nil || strings.TrimSpace(s) == "" {
		return "", errBroken
	}
	body := strings.TrimRight(s, "\n")
	header := "|"
	switch len(s) - len(body) {
	case 0:
		header = "|-"
	case 1:
	default:
		return "", errBroken
	}
	if indented(body) || strings.HasPrefix(body, "\n") {
		return "", errBroken
	}
	pad := strings.Repeat(" ", indent)
	lines := strings.Split(body, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = pad + l
		}
	}
	return header + "\n" + strings.Join(lines, "\n"), nil
}

func plainEscape(part string) (string, error) {
	if strings.ContainsAny(part, "\n\r") {
		return "", errBroken
	}
	return part, printable(part)
}

// plainCheck says whether a text can stand without quotes.
func plainCheck(flow bool) func(string) error {
	return func(after string) error {
		format := "a: %s\n"
		if flow {
			format = "a: [%s]\n"
		}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(fmt.Sprintf(format, after)), &doc); err != nil || len(doc.Content) == 0 || len(doc.Content[0].Content) != 2 {
			return errBroken
		}
		v := doc.Content[0].Content[1]
		if flow && len(v.Content) == 1 {
			v = v.Content[0]
		}
		if v.Kind != yaml.ScalarNode || v.Style != 0 || v.Value != after || v.ShortTag() != "!!str" {
			return errBroken
		}
		return nil
	}
}

func plainWhole(flow bool) func(string) (string, error) {
	return func(all string) (string, error) {
		if plainCheck(flow)(all) == nil && !strings.Contains(all, "\n") {
			return all, nil
		}
		if q, err := singleQuoted(all); err == nil {
			return q, nil
		}
		return doubleQuoted(all)
	}
}
