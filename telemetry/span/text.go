package span

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Text is a string of a file and where it stands there.
type Text struct {
	// String is what the file says, decoded.
	String string
	// origin maps an offset of String, up to its length, to an offset of the file. nil when the parts of the string
	// cannot be told apart in the file; then only the whole is replaced.
	origin func(int) int
	// folded says that the byte at an offset is a line break of the file that the notation reads as something else. The
	// space around such a break is the notation's, so an edit beside it writes the byte anew. nil is for none.
	folded func(int) bool
	// escape turns a new part into the file's notation.
	escape func(string) (string, error)
	// check says whether the notation can hold the string after an edit; nil means that it always can.
	check func(after string) error
	// whole replaces everything, the quotes too; start and end are where it stands.
	start, end int
	whole      func(string) (string, error)
}

// File is the content of a file as one text.
func File(data string) Text {
	same := func(s string) (string, error) { return s, nil }
	return Text{String: data, origin: func(i int) int { return i }, escape: same, end: len(data), whole: same}
}

// Start is the byte offset in the file at which the text begins.
func (t Text) Start() int {
	if t.origin != nil {
		return t.origin(0)
	}
	return t.start
}

// Offset is the byte offset in the file of a byte offset of the text; false when the parts cannot be told apart.
func (t Text) Offset(i int) (int, bool) {
	if t.origin == nil || i < 0 || i > len(t.String) {
		return 0, false
	}
	return t.origin(i), true
}

// Editable says that the place of the text is known at all.
func (t Text) Editable() bool { return t.origin != nil || t.whole != nil }

// Edit replaces the bytes from Start to End of a text or of a file.
type Edit struct {
	Start, End int
	Text       string
}

// errNoPlace says that a text was made up or its place is not known.
var errNoPlace = errors.New("the place of the text in the file is not known")

// Edits turns edits of the text into edits of the file, sorted by place. It fails when edits overlap or leave the
// text, and when the file's notation cannot hold what they say.
func (t Text) Edits(edits []Edit) ([]Edit, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	after, err := Apply(t.String, edits)
	if err != nil || after == t.String {
		return nil, err
	}
	edits = t.unfolded(edits)
	if t.origin != nil && (t.check == nil || t.check(after) == nil) {
		out := make([]Edit, 0, len(edits))
		for _, e := range edits {
			s, err := t.escape(e.Text)
			if err != nil {
				out = nil
				break
			}
			out = append(out, Edit{t.origin(e.Start), t.origin(e.End), s})
		}
		if out != nil {
			return out, nil
		}
	}
	return t.Replace(after)
}

// unfolded widens edits that are beside a folded line break to that break.
func (t Text) unfolded(edits []Edit) []Edit {
	if t.folded == nil {
		return edits
	}
	done := 0
	for i := range edits {
		e := &edits[i]
		for e.Start > done && t.folded(e.Start-1) {
			e.Start--
			e.Text = t.String[e.Start:e.Start+1] + e.Text
		}
		limit := len(t.String)
		if i+1 < len(edits) {
			limit = edits[i+1].Start
		}
		for e.End < limit && t.folded(e.End) {
			e.Text += t.String[e.End : e.End+1]
			e.End++
		}
		done = e.End
	}
	return edits
}

// Replace writes the whole text anew.
func (t Text) Replace(with string) ([]Edit, error) {
	if t.whole == nil {
		return nil, errNoPlace
	}
	s, err := t.whole(with)
	if err != nil {
		return nil, err
	}
	return []Edit{{t.start, t.end, s}}, nil
}

// Apply makes edits. It fails when they overlap or lie outside.
func Apply(text string, edits []Edit) (string, error) {
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return cmp.Compare(a.Start, b.Start) })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		if e.Start < at || e.End < e.Start || e.End > len(text) {
			return "", fmt.Errorf("span: the edit of bytes %d to %d overlaps another one, or leaves the %d bytes", e.Start, e.End, len(text))
		}
		b.WriteString(text[at:e.Start])
		b.WriteString(e.Text)
		at = e.End
	}
	b.WriteString(text[at:])
	return b.String(), nil
}

// Line and column, both from 1, of a byte offset; the column counts bytes.
func Position(data string, offset int) (line, column int) {
	offset = min(max(offset, 0), len(data))
	before := data[:offset]
	return 1 + strings.Count(before, "\n"), offset - strings.LastIndexByte(before, '\n')
}
