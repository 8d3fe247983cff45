// Package template makes PromQL with variables parse, and brings edits of the result back to the original.
//
// Inside of string literals the text is left as it is: {reporter=~"$qrep"} parses, and what the variable holds is
// filled in by who evaluates. Outside of strings each variable becomes a placeholder of the kind that fits there: a
// duration in brackets and after offset, a label name in lists of labels, a name before { or (, else a number
// (observability.md 4.2). Placeholders are unique, so that text which an edit copies finds its variable again.
package template
