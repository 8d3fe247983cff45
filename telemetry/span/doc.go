// Package span finds strings in JSON and YAML files together with the place of each of their bytes, so that a query
// is changed where it stands and nothing else of the file moves.
//
// A file is a Text that stands for itself. JSON and YAML read a Text and give its strings as Texts of the same file,
// so that JSON in a ConfigMap, in a file, is found and changed through both notations. Re-marshalling a dashboard to
// change six strings would make a difference that nobody can review (observability.md 4).
package span
