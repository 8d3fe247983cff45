package template

import (
	"regexp"
	"strings"
)

// useFunc says whether a text begins with a use of a variable: its name, and its length in bytes, 0 if it does not.
type useFunc func(s string) (name string, length int)

// grafanaPattern is that of Grafana's packages/grafana-data variable regex, anchored: $name, [[name:format]],
// ${name.field:format}. A name that begins with a digit is a group of label_replace.
var grafanaPattern = regexp.MustCompile(`^(?:\$([A-Za-z_]\w*)|\[\[([A-Za-z_]\w*)(?::\w+)?\]\]|\$\{([A-Za-z_]\w*)(?:\.[^:^}]+)?(?::[^}]+)?\})`)

// maxUse is how long one use may be, in bytes: a text full of beginnings would be searched to its end for each of them.
const maxUse = 1000

func grafanaUse(s string) (string, int) {
	if s[0] != '$' && s[0] != '[' {
		return "", 0
	}
	s = s[:min(len(s), maxUse)]
	m := grafanaPattern.FindStringSubmatch(s)
	if m == nil {
		return "", 0
	}
	return m[1] + m[2] + m[3], len(m[0])
}

// between reads what stands between two marks.
func between(s, left, right string) (string, int) {
	if !strings.HasPrefix(s, left) {
		return "", 0
	}
	s = s[:min(len(s), maxUse)]
	end := strings.Index(s, right)
	if end < 0 {
		return "", 0
	}
	name := strings.TrimSpace(s[len(left):end])
	name = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(name, "- "), " -"))
	return name, end + len(right)
}

// scanner walks a text once and knows, at each variable, what stands around it.
type scanner struct {
	text string
	use  useFunc
	uses []Use
	// guesses are the kinds that fit, best first, of each use outside of strings.
	guesses [][]kind
	// open are the brackets around, with the word in front of each and whether a comma came since.
	open []bracket
	// word is the last word, if nothing but space came since; last is the last byte that is no space.
	word string
	last byte
}

type bracket struct {
	c     byte
	word  string
	comma bool
}

// scan finds the variables and guesses what those outside of strings are.
func scan(text string, use useFunc) ([]Use, [][]kind) {
	s := scanner{text: text, use: use}
	for i := 0; i < len(text); {
		i = s.step(i)
	}
	return s.uses, s.guesses
}

// step takes what begins at i and gives where it ends.
func (s *scanner) step(i int) int {
	if name, n := s.use(s.text[i:]); n > 0 {
		s.uses = append(s.uses, Use{Name: name, Spelling: s.text[i : i+n], Start: i, End: i + n})
		s.guesses = append(s.guesses, s.guess(name, i, i+n))
		s.word, s.last = "", '$'
		return i + n
	}
	c := s.text[i]
	switch {
	case c == '"' || c == '\'' || c == '`':
		end := stringEnd(s.text, i)
		s.inside(i, end)
		s.word, s.last = "", '"'
		return end
	case c == '#':
		end := len(s.text)
		if n := strings.IndexByte(s.text[i:], '\n'); n >= 0 {
			end = i + n
		}
		s.inside(i, end)
		return end
	case isWord(c):
		end := i
		for end < len(s.text) && isWord(s.text[end]) {
			end++
		}
		s.word, s.last = s.text[i:end], s.text[end-1]
		return end
	case strings.IndexByte(" \t\r\n", c) >= 0:
		return i + 1
	}
	s.bracket(c)
	s.word, s.last = "", c
	return i + 1
}

func (s *scanner) bracket(c byte) {
	switch c {
	case '(', '[', '{':
		s.open = append(s.open, bracket{c: c, word: strings.ToLower(s.word)})
	case ')', ']', '}':
		if len(s.open) > 0 {
			s.open = s.open[:len(s.open)-1]
		}
	case ',':
		if len(s.open) > 0 {
			s.open[len(s.open)-1].comma = true
		}
	}
}

// inside notes the variables within a string or a comment.
func (s *scanner) inside(from, to int) {
	for i := from; i < to; {
		name, n := s.use(s.text[i:to])
		if n == 0 {
			i++
			continue
		}
		s.uses = append(s.uses, Use{Name: name, Spelling: s.text[i : i+n], Start: i, End: i + n, InString: true})
		i += n
	}
}

// stringEnd is the end of the string literal that begins at i: backquoted ones have no escapes.
func stringEnd(text string, i int) int {
	quote := text[i]
	for i++; i < len(text); i++ {
		switch {
		case text[i] == quote:
			return i + 1
		case text[i] == '\\' && quote != '`':
			i++
		}
	}
	return len(text)
}

func isWord(c byte) bool {
	return c == '_' || c == ':' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' || c == '.' }

// guess says what a variable at a place can be, best first (observability.md 4.2 rule 2).
func (s *scanner) guess(variable string, start, end int) []kind {
	in := bracket{}
	if len(s.open) > 0 {
		in = s.open[len(s.open)-1]
	}
	if glued, kinds := s.glued(in, start, end); glued {
		return kinds
	}
	next := byte(0)
	if rest := strings.TrimLeft(s.text[end:], " \t\r\n"); rest != "" {
		next = rest[0]
	}
	word := strings.ToLower(s.word)
	switch {
	case in.c == '[' && s.last == ':':
		return []kind{resolution, digits}
	case in.c == '[' || word == "offset":
		return []kind{duration, digits}
	case in.c == '{':
		return matcherKinds(s.last, next)
	case in.c == '(' && labelList[in.word]:
		return []kind{name}
	case s.last == '@':
		return []kind{digits}
	case next == '{' || next == '[':
		return []kind{name}
	case next == '(':
		return []kind{aggregator, ranger, keyword, number}
	case in.c == '(' && !in.comma && s.last == '(' && (in.word == "quantile" || in.word == "histogram_quantile"):
		return []kind{quantile, name}
	case in.c == '(' && !in.comma && s.last == '(' && in.word == "count_values":
		return []kind{quoted, name}
	case strings.HasPrefix(variable, "__") && !strings.HasSuffix(variable, "_ms") && !strings.HasSuffix(variable, "_s") &&
		(strings.HasPrefix(variable, "__interval") || strings.HasPrefix(variable, "__rate_interval") || strings.HasPrefix(variable, "__range")):
		return []kind{duration, number}
	case in.c == '(' && s.last == '(' && next == ')':
		return []kind{name, number, matcher}
	case s.last == 0 && next == 0:
		return []kind{name, number}
	}
	return []kind{number, name, duration}
}

// glued are variables that are a part of a word.
func (s *scanner) glued(in bracket, start, end int) (bool, []kind) {
	before := start > 0 && isWord(s.text[start-1]) || s.last == '$' && start > 0 && strings.IndexByte("}]>", s.text[start-1]) >= 0
	dot := start > 0 && s.text[start-1] == '.'
	after := end < len(s.text) && isWord(s.text[end])
	if !after && end < len(s.text) {
		_, n := s.use(s.text[end:])
		after = n > 0
	}
	colon := in.c == '[' && (start > 0 && s.text[start-1] == ':' || end < len(s.text) && s.text[end] == ':')
	switch {
	case !before && !after && !dot:
		return false, nil
	case colon && !(before && s.text[start-1] != ':') && !(after && s.text[end] != ':'):
		return false, nil
	case in.c == '[' && before && !after:
		return true, []kind{unit, digits}
	case in.c == '[':
		return true, []kind{digits, duration}
	case dot || before && !after && isDigit(s.text[start-1]) && s.word != "" && isDigit(s.word[0]):
		return true, []kind{digits, name, unit}
	}
	return true, []kind{name, digits}
}

// labelList are the words whose parentheses hold labels.
var labelList = map[string]bool{"by": true, "without": true, "on": true, "ignoring": true, "group_left": true, "group_right": true}

// matcherKinds is what a variable between braces can be, by what stands before and behind it.
func matcherKinds(last, next byte) []kind {
	switch {
	case next == '=' || next == '!':
		return []kind{name}
	case last == '=' || last == '~':
		return []kind{quoted}
	}
	return []kind{matcher, name}
}
