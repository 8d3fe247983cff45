package render

import (
	"strings"
	"testing"
)

// Paths of files are longer than a line.
func TestALabelThatFillsTheLineLeavesNoTraceOfPadding(t *testing.T) {
	for n := range 120 {
		x := text{width: 80}
		x.item("  "+strings.Repeat("p", n)+"  ", "a panel (panel) goes silent from wave 1/cutover on")
		got := x.b.String()
		if strings.Contains(got, "\x00") || !strings.Contains(strings.Join(strings.Fields(got), " "), "a panel (panel) goes silent from wave 1/cutover on") {
			t.Fatalf("a label of %d columns gives %q", n, got)
		}
	}
}
