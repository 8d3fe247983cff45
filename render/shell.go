package render

import "strings"

// ShellQuote quotes one argument for a POSIX shell. Plain arguments stay as they
// are; an empty one becomes ”.
func ShellQuote(arg string) string {
	harmless := arg != "" && strings.IndexFunc(arg, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:,@%+", r))
	}) < 0
	if harmless {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
