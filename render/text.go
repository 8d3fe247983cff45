package render

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// style is how a heading stands out; colors are added only when asked for.
type style string

// Styles, as ANSI parameters.
const (
	bold   style = "1"
	red    style = "1;31"
	green  style = "1;32"
	yellow style = "1;33"
)

// text writes wrapped lines for a terminal. What comes from a plan passes plain,
// so that no name of a cluster can move the cursor.
type text struct {
	b     strings.Builder
	width int
	color bool
}

// heading starts a section.
func (t *text) heading(s string, c style) {
	if t.b.Len() > 0 {
		t.b.WriteByte('\n')
	}
	for _, line := range wrapText(plain(s), t.width) {
		if t.color {
			line = "\x1b[" + string(c) + "m" + line + "\x1b[0m"
		}
		t.b.WriteString(line + "\n")
	}
}

// para writes a paragraph, every line indented.
func (t *text) para(indent, s string) { t.item(indent, s) }

// minRoom is how many columns a text needs to stand beside its label.
const minRoom = 12

// item writes a paragraph after a label; further lines stand under its text, or
// four columns further in than the label when that is long.
func (t *text) item(label, s string) {
	n := utf8.RuneCountInString(label)
	lead := n - utf8.RuneCountInString(strings.TrimLeft(label, " "))
	hang := n
	if n > t.width/3 {
		hang = lead + 4
	}
	if n > t.width-minRoom {
		// A long path leaves no room beside it.
		t.b.WriteString(strings.TrimRight(label, " ") + "\n")
		for _, line := range wrapText(plain(s), t.width-hang) {
			t.b.WriteString(strings.TrimRight(strings.Repeat(" ", hang)+line, " ") + "\n")
		}
		return
	}
	// The first line has less room when the label reaches further than the hang.
	lines := wrapText(strings.Repeat("\x00", n-hang)+plain(s), t.width-hang)
	for i, line := range lines {
		line = strings.ReplaceAll(line, "\x00", "")
		if i == 0 {
			line = label + line
		} else {
			line = strings.Repeat(" ", hang) + line
		}
		t.b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// command writes a command line, which must not be wrapped.
func (t *text) command(s string) { t.b.WriteString("  " + plain(s) + "\n") }

// wrapText breaks s between words, and inside a word that is longer than a line.
func wrapText(s string, width int) []string {
	width = max(width, 10)
	var lines []string
	line, n := "", 0
	for _, word := range strings.SplitAfter(s, " ") {
		w := utf8.RuneCountInString(strings.TrimRight(word, " "))
		if n > 0 && n+w > width {
			lines = append(lines, strings.TrimRight(line, " "))
			line, n = "", 0
		}
		for w > width {
			r := []rune(word)
			lines = append(lines, string(r[:width]))
			word = string(r[width:])
			w = utf8.RuneCountInString(strings.TrimRight(word, " "))
		}
		line += word
		n += utf8.RuneCountInString(word)
	}
	return append(lines, strings.TrimRight(line, " "))
}

// count is "1 pod", "2 pods".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
