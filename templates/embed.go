// Package templates holds the prose that ambientplan writes, as embedded
// templates. Kubernetes objects are never templates: they are marshalled values.
// Files named *.md.tmpl are text/template and escape with the functions md, code
// and fenced that package render gives them; *.html.tmpl are html/template.
package templates

import "embed"

// FS has every template, by file name.
//
//go:embed *.tmpl
var FS embed.FS
