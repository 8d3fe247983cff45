package render

import (
	"fmt"
	"strings"
	"unicode"
)

// plain is s on one line and without characters that a terminal or an editor
// obeys: newlines become spaces; other control characters, and the format
// characters that turn the direction of text, are spelled out.
func plain(s string) string { return visible(s, false) }

func visible(s string, lines bool) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case r == '\n' && lines:
			b.WriteRune(r)
		case r == '\n' || r == '\r' || r == '\t':
			b.WriteByte(' ')
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029':
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// mdText is s as Markdown that shows s and does nothing else, in a paragraph, a
// list item or a cell of a table.
func mdText(s string) string {
	s = plain(s)
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case strings.ContainsRune("\\`*_[]|~$", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case strings.ContainsRune("-+#=", r) && i == 0, (r == '.' || r == ')') && onlyDigits(s[:i]) && strings.HasPrefix(s[i+1:]+" ", " "):
			b.WriteByte('\\')
			b.WriteRune(r)
		case strings.ContainsRune("!:@", r) && hazard(s, i):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// hazard tells whether a character begins an image, a bare link or a mention.
func hazard(s string, i int) bool {
	rest := s[i:]
	return strings.HasPrefix(rest, "![") || strings.HasPrefix(rest, "://") || rest[0] == '@'
}

func onlyDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// mdCode is s as a code span, also in a cell of a table.
func mdCode(s string) string {
	s = plain(s)
	if s == "" {
		return ""
	}
	tick := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.Contains(s, "`") {
		s = " " + s + " "
	}
	return tick + strings.ReplaceAll(s, "|", "\\|") + tick
}

// mdBlock is s as a fenced block, indented for a list.
func mdBlock(indent int, s string) string {
	s = visible(s, true)
	fence := strings.Repeat("`", max(3, longestRun(s, '`')+1))
	pad := strings.Repeat(" ", indent)
	return pad + strings.ReplaceAll(fence+"\n"+s+"\n"+fence, "\n", "\n"+pad)
}

func longestRun(s string, c rune) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
