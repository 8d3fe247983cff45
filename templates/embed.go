// Package templates holds the prose that ambientplan writes, as embedded
// templates. Kubernetes objects are never templates: they are marshalled values.
// Files named *.md.tmpl are text/template and escape with the functions md, code
// and fenced that package render gives them; *.html.tmpl are html/template. report.css and report.js are copied into the
// report as they are.
package templates

import "embed"

// FS has every template, by file name.
//
//go:embed *.tmpl report.css report.js
var FS embed.FS
