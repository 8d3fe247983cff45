package source

import "github.com/ambientplan/ambientplan/telemetry/span"

func (r *reader) dashboardMap(*span.Node) bool                   { return false }
func (r *reader) operated(*span.Node, string) bool               { return false }
func perses(*span.Node) bool                                     { return false }
func (r *reader) persesDashboard(*span.Node)                     {}
func (r *reader) dashboardV2(*span.Node, string, Object, string) {}
