package mesh

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// maxTextStates bounds the search for texts that stand for classes.
const maxTextStates = 50000

// textClass is a set of texts that the same conditions match, with one of them.
type textClass struct {
	// present is false for the class of no value at all.
	present bool
	text    string
	// exact: it is the only text of its class.
	exact bool
}

// textSearch finds the classes of the texts that a field can have. It walks letter by letter through all that the
// conditions together can be in the middle of, which is exact: the conditions forget everything else about a text.
// Exact texts and prefixes are one tree, regular expressions one machine each, built while walking.
type textSearch struct {
	letters []byte
	// first are the letters that a text can begin with; nil for all.
	first []byte
	// empty tells whether there are empty texts; spaced whether texts may begin or end with a space.
	empty, spaced bool

	tree  []textNode
	regex []*textMachine
}

// textNode is what has been read of exact texts and prefixes.
type textNode struct {
	next map[byte]int
	// exact: a text ends here; prefix: one is complete here.
	exact, prefix bool
	// under is the last node on the way here where a prefix was complete; -1 for none.
	under int
}

// textClassesOf finds the classes of the texts of a field for conditions on it, and in what order to try them: nice texts
// first, then short ones. It is false when there are too many.
func textClassesOf(f routeField, conditions []*routeCondition, nice []string) ([]textClass, bool) {
	s := textSearch{tree: []textNode{{next: map[byte]int{}, under: -1}}}
	seen := map[string]bool{}
	for _, c := range conditions {
		switch {
		case c.op == routePresent:
		case c.op == routeRegex:
			s.expression(c.text, seen)
		case c.fold:
			for _, e := range foldExpressions(c) {
				s.expression(e, seen)
			}
		case c.op == routeExact:
			s.add(c.text, true)
		case c.op == routePrefix:
			s.add(c.text, false)
		case c.op == routeSegments:
			s.add(c.text, true)
			s.add(c.text+"/", false)
		}
	}
	s.setUnder()
	s.alphabet(f)
	return s.classes(f, nice)
}

// foldExpressions say the same as a condition that ignores the case of letters.
func foldExpressions(c *routeCondition) []string {
	quoted := "(?i)" + regexp.QuoteMeta(c.text)
	switch c.op {
	case routeExact:
		return []string{quoted}
	case routeSegments:
		return []string{quoted, quoted + "/.*"}
	default:
		return []string{quoted + ".*"}
	}
}

func (s *textSearch) expression(e string, seen map[string]bool) {
	if seen[e] {
		return
	}
	seen[e] = true
	if m := newTextMachine(e); m != nil {
		s.regex = append(s.regex, m)
	}
}

func (s *textSearch) add(text string, exact bool) {
	at := 0
	for i := range len(text) {
		n, ok := s.tree[at].next[text[i]]
		if !ok {
			n = len(s.tree)
			s.tree = append(s.tree, textNode{next: map[byte]int{}, under: -1})
			s.tree[at].next[text[i]] = n
		}
		at = n
	}
	if exact {
		s.tree[at].exact = true
	} else {
		s.tree[at].prefix = true
	}
}

// setUnder: children come after their parents.
func (s *textSearch) setUnder() {
	for i := range s.tree {
		if s.tree[i].prefix {
			s.tree[i].under = i
		}
		for _, n := range s.tree[i].next {
			s.tree[n].under = s.tree[i].under
		}
	}
}

// alphabet picks the letters that a text can have, one for each set that nothing tells apart. Values are taken to be
// printable ASCII.
func (s *textSearch) alphabet(f routeField) {
	s.empty, s.spaced = f.part == partHeader || f.part == partQuery, f.part == partQuery
	var all []byte
	for b := byte(' '); b <= '~'; b++ {
		switch f.part {
		case partPath:
			if b == ' ' || b == '?' || b == '#' {
				continue
			}
		case partMethod:
			if !isTokenByte(b) {
				continue
			}
		case partAuthority, partScheme:
			if b == ' ' {
				continue
			}
		default:
		}
		all = append(all, b)
	}
	if f.part == partPath {
		s.first = []byte{'/'}
	}
	named := map[byte]bool{}
	for i := range s.tree {
		for b := range s.tree[i].next {
			named[b] = true
		}
	}
	if f.part == partPath {
		named['/'] = true
	}
	named[' '] = true
	slices.SortStableFunc(all, func(a, b byte) int { return textRank(a) - textRank(b) })
	seen := map[string]bool{}
	for _, b := range all {
		if named[b] {
			s.letters = append(s.letters, b)
			continue
		}
		var key []byte
		for _, m := range s.regex {
			key = m.signature(key, b)
		}
		if !seen[string(key)] {
			seen[string(key)] = true
			s.letters = append(s.letters, b)
		}
	}
}

// textRank orders letters so that texts read well.
func textRank(b byte) int {
	if i := strings.IndexByte(filler, b); i >= 0 {
		return i
	}
	return 256 + int(b)
}

func isTokenByte(b byte) bool {
	return b >= '0' && b <= '9' || isLetter(b) || strings.IndexByte("!#$%&'*+-.^_`|~", b) >= 0
}

// textState is how far all conditions have read.
type textState struct {
	// node of the tree, or -1 when nothing in it goes on like this; under is the last complete prefix.
	node, under int32
	regex       []int32
}

func (s *textSearch) start() textState {
	out := textState{under: int32(s.tree[0].under)}
	out.regex = make([]int32, len(s.regex))
	return out
}

func (s *textSearch) step(st textState, b byte) textState {
	out := textState{node: -1, under: st.under, regex: make([]int32, len(s.regex))}
	if st.node >= 0 {
		if n, ok := s.tree[st.node].next[b]; ok {
			out.node, out.under = int32(n), int32(s.tree[n].under)
		}
	}
	for i, m := range s.regex {
		out.regex[i] = int32(m.step(int(st.regex[i]), b))
	}
	return out
}

func (st textState) key(space bool) string {
	b := make([]byte, 0, 9+4*len(st.regex))
	b = binary.LittleEndian.AppendUint32(b, uint32(st.node))
	b = binary.LittleEndian.AppendUint32(b, uint32(st.under))
	for _, r := range st.regex {
		b = binary.LittleEndian.AppendUint32(b, uint32(r))
	}
	if space {
		b = append(b, ' ')
	}
	return string(b)
}

// class is the same for texts that the same conditions match, and tells whether there is only one.
func (s *textSearch) class(st textState) (string, bool) {
	b := make([]byte, 0, 8+len(s.regex))
	exact := st.node >= 0 && s.tree[st.node].exact
	at := int32(-1)
	if exact {
		at = st.node
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	b = binary.LittleEndian.AppendUint32(b, uint32(st.under))
	for i, m := range s.regex {
		b = append(b, m.accept[st.regex[i]])
	}
	return string(b), exact
}

// classes walks.
func (s *textSearch) classes(f routeField, nice []string) ([]textClass, bool) {
	var out []textClass
	seen := map[string]bool{}
	take := func(st textState, text string) {
		if k, exact := s.class(st); !seen[k] {
			seen[k] = true
			out = append(out, textClass{true, text, exact})
		}
	}
	for _, n := range nice {
		st := s.start()
		for i := range len(n) {
			st = s.step(st, n[i])
		}
		take(st, n)
	}
	type item struct {
		state textState
		text  string
	}
	start := s.start()
	if s.empty {
		take(start, "")
	}
	visited := map[string]bool{start.key(false): true}
	work := 0
	for queue := []item{{start, ""}}; len(queue) > 0; queue = queue[1:] {
		it := queue[0]
		letters := s.letters
		if it.text == "" && s.first != nil {
			letters = s.first
		}
		for _, b := range letters {
			if b == ' ' && it.text == "" && !s.spaced {
				continue
			}
			next := item{s.step(it.state, b), it.text + string(rune(b))}
			space := b == ' ' && !s.spaced
			if k := next.state.key(space); !visited[k] {
				visited[k] = true
				queue = append(queue, next)
				if !space {
					take(next.state, next.text)
				}
			}
			work += 1 + len(s.regex)
		}
		if len(visited) > maxTextStates || work > 400*maxTextStates || s.tooLarge() {
			return nil, false
		}
	}
	return out, true
}

func (s *textSearch) tooLarge() bool {
	return slices.ContainsFunc(s.regex, func(m *textMachine) bool { return len(m.states) > maxTextStates/10 })
}

// textMachine tells whether texts match a regular expression as a whole. Its states are made when they are reached:
// the instructions that it may be at, and what kind of letter came last. It is right for what regular expressions of
// RE2 can say, look-around of words and lines included.
type textMachine struct {
	prog   *syntax.Prog
	states []machineState
	ids    map[string]int
	accept []byte
	// steps are the states after each letter, 0 when not known yet: the first state is nowhere after a letter.
	steps [][]int32
}

type machineState struct {
	at []uint32
	// last is a letter of the kind that was read last, -1 at the start.
	last rune
}

// newTextMachine is nil for what does not compile.
func newTextMachine(expression string) *textMachine {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil
	}
	m := &textMachine{prog: prog, ids: map[string]int{}}
	m.state([]uint32{uint32(prog.Start)}, -1)
	return m
}

// state is the number of a state.
func (m *textMachine) state(at []uint32, last rune) int {
	slices.Sort(at)
	at = slices.Compact(at)
	if last >= 0 {
		last = map[bool]rune{true: 'x', false: '/'}[syntax.IsWordChar(last)]
	}
	if len(at) == 0 {
		last = '/'
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(last))
	for _, pc := range at {
		b = binary.LittleEndian.AppendUint32(b, pc)
	}
	if id, ok := m.ids[string(b)]; ok {
		return id
	}
	id := len(m.states)
	m.ids[string(b)] = id
	m.states = append(m.states, machineState{at, last})
	m.steps = append(m.steps, make([]int32, 128))
	accept := byte(0)
	m.reach(at, syntax.EmptyOpContext(last, -1), func(i *syntax.Inst, _ uint32) {
		if i.Op == syntax.InstMatch {
			accept = 1
		}
	})
	m.accept = append(m.accept, accept)
	return id
}

// reach visits the instructions that need a letter, or are the end, from others where these things hold between letters.
func (m *textMachine) reach(from []uint32, between syntax.EmptyOp, visit func(*syntax.Inst, uint32)) {
	seen := map[uint32]bool{}
	todo := slices.Clone(from)
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		i := &m.prog.Inst[pc]
		switch i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, i.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(i.Arg)&^between == 0 {
				todo = append(todo, i.Out)
			}
		case syntax.InstFail:
		default:
			visit(i, pc)
		}
	}
}

// step reads a letter.
func (m *textMachine) step(state int, b byte) int {
	if n := m.steps[state][b]; n != 0 {
		return int(n)
	}
	st := m.states[state]
	var next []uint32
	m.reach(st.at, syntax.EmptyOpContext(st.last, rune(b)), func(i *syntax.Inst, _ uint32) {
		if i.Op != syntax.InstMatch && i.MatchRune(rune(b)) {
			next = append(next, i.Out)
		}
	})
	n := m.state(next, rune(b))
	m.steps[state][b] = int32(n)
	return n
}

// signature appends what the machine can tell about a letter.
func (m *textMachine) signature(key []byte, b byte) []byte {
	for i := range m.prog.Inst {
		in := &m.prog.Inst[i]
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			key = append(key, '0')
			if in.MatchRune(rune(b)) {
				key[len(key)-1] = '1'
			}
		default:
		}
	}
	if syntax.IsWordChar(rune(b)) {
		return append(key, 'w')
	}
	return append(key, '-')
}

// namesRareLetters tells whether a regular expression tells letters apart that are not printable ASCII: it is only known
// what it says of the others.
func namesRareLetters(expression string) bool {
	re, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return true
	}
	for i := range prog.Inst {
		in := &prog.Inst[i]
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1:
		default:
			continue
		}
		if in.MatchRune(0x7f) != in.MatchRune(0x80) {
			return true
		}
		for _, r := range in.Rune {
			// Two letters beyond ASCII are there for the sake of k and s, whose case is ignored.
			if r > 0x7f && r < 0x10ffff && r != 0x17f && r != 0x212a {
				return true
			}
		}
	}
	return false
}
