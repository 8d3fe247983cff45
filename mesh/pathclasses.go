package mesh

import (
	"encoding/binary"
	"slices"
	"strings"
)

// maxPathStates bounds the search for paths.
const maxPathStates = 20000

// pathTexts finds paths of which one stands for each set of patterns that some
// path matches, when there are templates among them. It walks, character by
// character, through all that the patterns together can be in the middle of; a
// path is taken when it is the first to match its set of patterns. That is exact,
// since the patterns forget everything else about a path. The second result is
// false when it takes too many steps.
func (d *dimension) pathTexts() ([]string, bool) {
	var machines []pathMachine
	letters := map[byte]bool{'/': true}
	for _, a := range d.atoms {
		for i := range a.values {
			m := newPathMachine(&a.values[i])
			machines = append(machines, m)
			for j := range len(m.text) {
				letters[m.text[j]] = true
			}
		}
	}
	// One letter that no pattern names, and one that templates take for no path.
	for _, extra := range []string{filler, `"<>|^`} {
		if i := strings.IndexFunc(extra, func(r rune) bool { return !letters[byte(r)] }); i >= 0 {
			letters[extra[i]] = true
		}
	}
	delete(letters, '?')
	delete(letters, '#')
	var alphabet []byte
	for b := range letters {
		alphabet = append(alphabet, b)
	}
	slices.SortFunc(alphabet, func(a, b byte) int { return pathRank(a) - pathRank(b) })

	type node struct {
		path   string
		states []int16
	}
	start := make([]int16, len(machines))
	for i := range machines {
		start[i] = machines[i].step(0, '/')
	}
	seen := map[string]bool{stateKey(start): true}
	accepted := map[string]bool{}
	var out []string
	for queue := []node{{"/", start}}; len(queue) > 0; queue = queue[1:] {
		n := queue[0]
		vector := make([]byte, len(machines))
		for i := range machines {
			if machines[i].accepts(n.states[i]) {
				vector[i] = 1
			}
		}
		if !accepted[string(vector)] {
			accepted[string(vector)] = true
			out = append(out, n.path)
		}
		for _, b := range alphabet {
			next := make([]int16, len(machines))
			for i := range machines {
				next[i] = machines[i].step(n.states[i], b)
			}
			if k := stateKey(next); !seen[k] {
				seen[k] = true
				queue = append(queue, node{n.path + string(b), next})
			}
		}
		if len(seen) > maxPathStates {
			return nil, false
		}
	}
	return out, true
}

// pathRank orders letters so that paths read well: words first, odd signs last.
func pathRank(b byte) int {
	switch {
	case isPathByte(b):
		return int(b)
	case b == '/':
		return 256
	}
	return 512 + int(b)
}

func stateKey(states []int16) string {
	b := make([]byte, 0, 2*len(states))
	for _, s := range states {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	return string(b)
}

// pathMachine reads a path letter by letter for one pattern. States: dead, lost
// (nothing more can happen but it matches), or how much has been read.
type pathMachine struct {
	op   matchOp
	text string
	// of a template: its parts as letters, where 0 stands for "{*}".
	head []byte
	tail string
	rest bool
}

const (
	pathDead  int16 = -1
	pathMatch int16 = -2
)

func newPathMachine(m *valueMatcher) pathMachine {
	p := pathMachine{op: m.op, text: m.text}
	if m.op != opTemplate {
		return p
	}
	p.text = strings.NewReplacer(matchOne, "", matchAny, "").Replace(m.text)
	p.rest, p.tail = m.template.rest, m.template.tail
	for _, part := range m.template.head {
		if part.one {
			p.head = append(p.head, 0)
		}
		p.head = append(p.head, part.literal...)
	}
	return p
}

// step reads one letter.
func (p *pathMachine) step(s int16, b byte) int16 {
	if s == pathDead || s == pathMatch {
		return s
	}
	n := int(s)
	switch p.op {
	case opExact:
		if n < len(p.text) && p.text[n] == b {
			return s + 1
		}
		return pathDead
	case opPrefix:
		if n < len(p.text) && p.text[n] != b {
			return pathDead
		}
		if n+1 >= len(p.text) {
			return pathMatch
		}
		return s + 1
	case opSuffix:
		return int16(overlap(p.text, p.text[:n], b))
	case opPresent:
		return pathMatch
	case opTemplate:
		return p.stepTemplate(n, b)
	default:
		return s
	}
}

// stepTemplate: the states of "{*}" at place i are i (nothing read of it) and
// i+1, from where it may go on; what follows "{**}" is looked for like a suffix.
func (p *pathMachine) stepTemplate(n int, b byte) int16 {
	inOne := n > 0 && n <= len(p.head) && p.head[n-1] == 0
	if inOne && b != '/' && isPathByte(b) {
		return int16(n)
	}
	if n < len(p.head) {
		switch {
		case p.head[n] == 0 && b != '/' && isPathByte(b), p.head[n] != 0 && p.head[n] == b:
			return int16(n + 1)
		}
		return pathDead
	}
	if !p.rest || b != '/' && !isPathByte(b) {
		return pathDead
	}
	return int16(len(p.head) + overlap(p.tail, p.tail[:n-len(p.head)], b))
}

// overlap is how much of want has been read at the end, when read was and b comes.
func overlap(want, read string, b byte) int {
	got := read + string(rune(b))
	if b >= 0x80 {
		got = read + string([]byte{b})
	}
	for n := min(len(got), len(want)); n > 0; n-- {
		if strings.HasSuffix(got, want[:n]) {
			return n
		}
	}
	return 0
}

// accepts tells whether a path that ends here matches.
func (p *pathMachine) accepts(s int16) bool {
	switch {
	case s == pathDead:
		return false
	case s == pathMatch:
		return true
	}
	n := int(s)
	switch p.op {
	case opExact, opSuffix:
		return n == len(p.text)
	case opTemplate:
		return n == len(p.head)+len(p.tail)
	case opPrefix:
		return len(p.text) == 0
	default:
		return false
	}
}
