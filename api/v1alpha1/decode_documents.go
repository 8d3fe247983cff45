package v1alpha1

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// checks collects what is wrong with a document that people write.
type checks struct {
	file  string
	lines map[string]int
	errs  []error
}

// fail reports a field by its path. The line is that of the nearest parent that has one.
func (c *checks) fail(path, format string, args ...any) {
	if len(c.errs) >= maxErrors {
		return
	}
	line := 0
	for p := path; p != "" && line == 0; p = parentPath(p) {
		line = c.lines[p]
	}
	c.errs = append(c.errs, &InputError{File: c.file, Line: max(line, 1), Msg: path + ": " + fmt.Sprintf(format, args...)})
}

func (c *checks) required(path, value string) {
	if strings.TrimSpace(value) == "" {
		c.fail(path, "is required and must not be empty")
	}
}

func (c *checks) capability(path string, v Capability) {
	if v.Tier() == TierUnknown {
		known := make([]string, 0, len(Capabilities()))
		for _, k := range Capabilities() {
			known = append(known, string(k.Capability))
		}
		c.fail(path, "%q is not a capability; known are %s", v, strings.Join(known, ", "))
	}
}

func (c *checks) duration(path, v string) {
	if v == "" {
		return
	}
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		c.fail(path, "%q is not a duration like \"72h\" or \"2ms\"", v)
	case d < 0:
		c.fail(path, "%q is negative", v)
	}
}

// date parses YYYY-MM-DD; ok is false after a report.
func (c *checks) date(path, v string) (t time.Time, ok bool) {
	t, err := time.Parse(time.DateOnly, v)
	if err != nil {
		c.fail(path, "%q is not a date like \"2026-12-31\"", v)
	}
	return t, err == nil
}

func (c *checks) oneOf(path, v string, allowed ...string) {
	if v != "" && !slices.Contains(allowed, v) {
		c.fail(path, "%q is none of %s", v, strings.Join(allowed, ", "))
	}
}

// DecodeNeeds reads a FeatureNeeds document as Decode does, sets File and Lines,
// and validates it: a capability outside of the closed set, a waiver or a
// keepSidecar without a reason, a missing namespace, a bad duration are errors
// with file:line, joined.
func DecodeNeeds(name string, r io.Reader) (*FeatureNeeds, error) {
	v := new(FeatureNeeds)
	lines, err := decode(name, r, v, true)
	if err != nil {
		return nil, err
	}
	v.File, v.Lines = name, lines
	c := &checks{file: name, lines: lines}
	for i, s := range v.Services {
		c.serviceNeeds(fmt.Sprintf("services[%d]", i), s)
	}
	for i, e := range v.Edges {
		p := fmt.Sprintf("edges[%d]", i)
		c.required(p+".fromNamespace", e.FromNamespace)
		c.required(p+".toNamespace", e.ToNamespace)
		c.required(p+".to", e.To)
		if e.Port < 0 || e.Port > 65535 {
			c.fail(p+".port", "%d is not a port", e.Port)
		}
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return v, nil
}

func (c *checks) serviceNeeds(p string, s ServiceNeeds) {
	c.required(p+".namespace", s.Namespace)
	if s.Service != "" && s.Workload != "" {
		c.fail(p+".workload", "service and workload are both set; write one entry for each")
	}
	waived := map[Capability]bool{}
	for i, w := range s.Waive {
		c.capability(fmt.Sprintf("%s.waive[%d].capability", p, i), w.Capability)
		if strings.TrimSpace(w.Reason) == "" {
			c.fail(fmt.Sprintf("%s.waive[%d].reason", p, i), "a waiver needs a reason")
		}
		waived[w.Capability] = true
	}
	for i, w := range s.Capabilities {
		path := fmt.Sprintf("%s.capabilities[%d].capability", p, i)
		c.capability(path, w.Capability)
		if waived[w.Capability] {
			c.fail(path, "%q is both wanted and waived", w.Capability)
		}
	}
	if s.KeepSidecar != nil && strings.TrimSpace(s.KeepSidecar.Reason) == "" {
		c.fail(p+".keepSidecar.reason", "keepSidecar needs a reason")
	}
	c.duration(p+".latencyBudget", s.LatencyBudget)
}

// DecodePolicy reads a MigrationPolicy document as Decode does, sets File and
// Lines, and validates it: a namespace both first and last, or excluded and
// ordered, or in two groups; a consent without id, reason or name; durations,
// dates and weekdays that are none; negative capacities. Errors carry file:line
// and are joined.
func DecodePolicy(name string, r io.Reader) (*MigrationPolicy, error) {
	v := new(MigrationPolicy)
	lines, err := decode(name, r, v, true)
	if err != nil {
		return nil, err
	}
	v.File, v.Lines = name, lines
	c := &checks{file: name, lines: lines}
	c.order(v)
	c.capacity(v.Capacity)
	c.calendar(v.Calendar)
	c.duration("soakTime", v.SoakTime)
	for i, k := range v.Consents {
		p := fmt.Sprintf("consents[%d]", i)
		c.required(p+".id", k.ID)
		c.required(p+".reason", k.Reason)
		c.required(p+".by", k.By)
	}
	c.waypoint(v.Waypoint)
	c.oneOf("routes", v.Routes, RoutesConvert, RoutesKeep)
	c.oneOf("gitops", v.GitOps, "none", "argocd", "flux")
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return v, nil
}

// order checks that first, last, exclude and together do not contradict each other.
func (c *checks) order(v *MigrationPolicy) {
	place := map[string]string{} // namespace -> the field that placed it
	put := func(path, field, ns string) {
		c.required(path, ns)
		if old, ok := place[ns]; ok && ns != "" {
			c.fail(path, "namespace %q is already in %s", ns, old)
			return
		}
		place[ns] = field
	}
	for i, ns := range v.First {
		put(fmt.Sprintf("first[%d]", i), "first", ns)
	}
	for i, ns := range v.Last {
		put(fmt.Sprintf("last[%d]", i), "last", ns)
	}
	for i, e := range v.Exclude {
		p := fmt.Sprintf("exclude[%d]", i)
		put(p+".namespace", "exclude", e.Namespace)
		c.required(p+".reason", e.Reason)
	}
	group := map[string]string{}
	names := map[string]bool{}
	for i, g := range v.Together {
		p := fmt.Sprintf("together[%d]", i)
		c.required(p+".name", g.Name)
		if names[g.Name] && g.Name != "" {
			c.fail(p+".name", "there are two groups %q", g.Name)
		}
		names[g.Name] = true
		if len(g.Namespaces) < 2 {
			c.fail(p+".namespaces", "a group needs at least two namespaces")
		}
		end := ""
		for j, ns := range g.Namespaces {
			path := fmt.Sprintf("%s.namespaces[%d]", p, j)
			c.required(path, ns)
			if old, ok := group[ns]; ok && ns != "" {
				c.fail(path, "namespace %q is already in group %q", ns, old)
			}
			group[ns] = g.Name
			switch at := place[ns]; at {
			case "exclude":
				c.fail(path, "namespace %q is in exclude", ns)
			case "first", "last":
				if end != "" && end != at {
					c.fail(path, "the group has namespaces both in first and last")
				}
				end = at
			}
		}
	}
}

func (c *checks) capacity(v Capacity) {
	for _, n := range []struct {
		field string
		value int
	}{
		{"namespaces", v.Namespaces},
		{"pods", v.Pods},
		{"waypoints", v.Waypoints},
		{"teams", v.Teams},
		{"restartBatch", v.RestartBatch},
	} {
		if n.value < 0 {
			c.fail("capacity."+n.field, "%d is negative; 0 means no bound", n.value)
		}
	}
}

func (c *checks) calendar(v *Calendar) {
	if v == nil {
		return
	}
	c.date("calendar.start", v.Start)
	for i, d := range v.Weekdays {
		if !slices.Contains([]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, d) {
			c.fail(fmt.Sprintf("calendar.weekdays[%d]", i), "%q is none of Mon, Tue, Wed, Thu, Fri, Sat, Sun", d)
		}
	}
	for i, f := range v.Freeze {
		p := fmt.Sprintf("calendar.freeze[%d]", i)
		from, ok1 := c.date(p+".from", f.From)
		to, ok2 := c.date(p+".to", f.To)
		if ok1 && ok2 && to.Before(from) {
			c.fail(p+".to", "%s is before %s", f.To, f.From)
		}
	}
}

func (c *checks) waypoint(v WaypointPolicy) {
	c.oneOf("waypoint.scope", v.Scope, "namespace", "service", "shared")
	if v.Scope == "shared" && v.Namespace == "" {
		c.fail("waypoint.namespace", "a shared waypoint needs a namespace")
	}
	if v.MinReplicas != 0 && v.MinReplicas < 2 {
		c.fail("waypoint.minReplicas", "%d is less than 2: one replica is an outage at each restart", v.MinReplicas)
	}
	if v.MaxReplicas != 0 && v.MaxReplicas < max(v.MinReplicas, 2) {
		c.fail("waypoint.maxReplicas", "%d is less than minReplicas", v.MaxReplicas)
	}
	if v.TargetCPUPercent < 0 || v.TargetCPUPercent > 100 {
		c.fail("waypoint.targetCPUPercent", "%d is not between 1 and 100", v.TargetCPUPercent)
	}
}

// DecodeAssessment reads an Assessment as Decode does, sets File and Lines, and validates
// it: a requirement without its answer, a want outside of the closed set, a negative
// number, prices without a currency are errors with file:line, joined.
func DecodeAssessment(name string, r io.Reader) (*Assessment, error) {
	v := new(Assessment)
	lines, err := decode(name, r, v, true)
	if err != nil {
		return nil, err
	}
	v.File, v.Lines = name, lines
	c := &checks{file: name, lines: lines}
	for _, q := range []struct {
		path string
		r    *Requirement
	}{{"encryption", v.Encryption}, {"identity", v.Identity}} {
		switch {
		case q.r == nil:
		case q.r.Required == nil:
			c.fail(q.path+".required", "is required: true or false; leave %s out when nobody knows", q.path)
		case *q.r.Required && strings.TrimSpace(q.r.By) == "":
			c.fail(q.path+".by", "a requirement needs its source: the rule, contract or customer that asks for it")
		}
	}
	if p := v.Platform; p != nil && (p.People < 0 || p.HoursPerWeek < 0) {
		c.fail("platform", "%d people with %v hours a week: neither can be negative", p.People, p.HoursPerWeek)
	}
	if v.Teams < 0 {
		c.fail("teams", "%d is negative", v.Teams)
	}
	for i, w := range v.Wants {
		if !slices.Contains(Wants(), w) {
			c.fail(fmt.Sprintf("wants[%d]", i), "%q is none of %s", w, joinWants())
		}
	}
	if p := v.Prices; p != nil {
		c.required("prices.currency", p.Currency)
		if p.VCPUHour < 0 || p.GiBHour < 0 {
			c.fail("prices", "a price is negative")
		}
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	return v, nil
}

func joinWants() string {
	var out []string
	for _, w := range Wants() {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}
