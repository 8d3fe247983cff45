package telemetry

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// benches makes and keeps the benches that queries are judged on: one for each call, some of the ways that it goes, and
// each set of recording rules.
type benches struct {
	rules []promql.Rule
	made  map[laneKey]*lane
	// joint are benches of several calls at once.
	joint map[string]*lane
	// byRecord are the rules by the metric that they make; nil until needed.
	byRecord map[string][]*promql.Query
	// reached and ids remember what rules take.
	reached map[reachKey]reach
	ids     map[string]string
}

type laneKey struct {
	flow *flow
	ways string
}

// lane is a bench of one call with the ways that its states stand for.
type lane struct {
	bench *promql.Bench
	// states by the index of a way of the flow; -1 for those that it does not have. Today's is state 0.
	states []int
	// steps are the states of the steps, as far as they were looked at; only of calls at once.
	steps []int
	why   string
}

func newBenches(rules []promql.Rule) *benches {
	return &benches{rules, map[laneKey]*lane{}, map[string]*lane{}, nil, map[reachKey]reach{}, map[string]string{}}
}

// every is the lane of a call with all the ways that it goes.
func (b *benches) every(f *flow) *lane {
	all := make([]int, len(f.ways))
	for i := range all {
		all[i] = i
	}
	return b.lane(f, all)
}

// ends is the lane with the ways that it goes between steps: what lasts for as long as people wait there.
func (b *benches) ends(f *flow) *lane { return b.lane(f, f.course.standing()) }

// lane is the lane of a call with today's way and some others, by their index.
func (b *benches) lane(f *flow, some []int) *lane {
	key := laneKey{f, fmt.Sprint(some)}
	if l, ok := b.made[key]; ok {
		return l
	}
	l := &lane{}
	b.made[key] = l
	var states []series.State
	for n, w := range f.ways {
		at := -1
		if n == 0 || slices.Contains(some, n) {
			s := w.state(f)
			if at = slices.IndexFunc(states, func(o series.State) bool { return o.Name == s.Name }); at < 0 {
				at = len(states)
				states = append(states, s)
			}
		}
		l.states = append(l.states, at)
	}
	var err error
	in := promql.Input{Traffic: promql.Traffic{Calls: []series.Call{f.call}}, Rules: b.rules}
	if l.bench, err = promql.NewBench(in, states); err != nil {
		l.why = err.Error()
	}
	return l
}

// fillFor puts values for variables into strings: those that belong to a call, so that the query selects it.
func fillFor(q *source.Query, f *flow, choice map[string]string) func(string) string {
	var pairs []string
	for _, v := range q.Variables {
		value := valueFor(v, q, f)
		if c, ok := choice[v.Name]; ok {
			value = c
		}
		spellings := slices.Clone(v.Spellings)
		slices.SortFunc(spellings, func(a, b string) int { return len(b) - len(a) })
		for _, s := range spellings {
			pairs = append(pairs, s, value)
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

// anything matches every value, where a regular expression stands.
const anything = ".*"

func valueFor(v *source.Variable, q *source.Query, f *flow) string {
	label := v.Label
	if label == "" && v.Kind == source.Given && len(v.Values) == 0 {
		label = comparedWith(v, q.Expr)
	}
	if f != nil {
		if value, ok := f.labels[label]; ok && label != "" {
			return value
		}
	}
	switch v.Kind {
	case source.Fixed:
		if len(v.Current) > 0 {
			return joined(v.Current)
		}
		if len(v.Values) > 0 {
			return v.Values[0]
		}
	case source.Given:
		if len(v.Values) > 0 {
			return joined(v.Values)
		}
		if f != nil {
			switch v.Name {
			case "namespace":
				return f.call.To.Namespace
			case "target", "workload", "deployment", "primary", "canary":
				return f.call.To.Name
			case "service", "service-name", "service_name", "canary-service", "host":
				return f.call.Service.Name
			}
		}
	case source.Queried, source.VariableUnknown:
	}
	return anything
}

// comparedWith is the label that a text compares a variable with, as in destination_workload="{{ target }}"; "" for none.
func comparedWith(v *source.Variable, text string) string {
	for _, s := range v.Spellings {
		at := strings.Index(text, `"`+s+`"`)
		if at < 0 {
			continue
		}
		before := strings.TrimRight(text[:at], " ")
		name := strings.TrimRight(strings.TrimSuffix(strings.TrimSuffix(before, "=~"), "="), " ")
		if name == before || strings.HasSuffix(name, "!") {
			continue
		}
		return name[strings.LastIndexFunc(name, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })+1:]
	}
	return ""
}

// joined is how Grafana writes several values into a regular expression.
func joined(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	return "(" + strings.Join(values, "|") + ")"
}

// stands is what stands for a variable while a query is looked at without traffic; the number is the variable's.
const stands = "ambientplan-variable-"

// sketch parses a query with stand-ins for its variables.
func sketch(q *source.Query, text string) (*promql.Query, error) {
	var pairs []string
	for i, v := range q.Variables {
		spellings := slices.Clone(v.Spellings)
		slices.SortFunc(spellings, func(a, b string) int { return len(b) - len(a) })
		for _, s := range spellings {
			pairs = append(pairs, s, fmt.Sprintf("%s%d.", stands, i))
		}
	}
	return promql.ParseFilled(text, strings.NewReplacer(pairs...).Replace)
}

// group is flows that a query treats alike: the same selectors take them, and they go the same ways.
type group struct {
	// mask says which selectors take them, by a letter each.
	mask  string
	flows []*flow
}

// groupsOf sorts the flows that a query selects, itself and through the recording rules that it rests on, into groups.
// requests says that it asks for requests only.
func (w *world) groupsOf(q *promql.Query, of *source.Query, requests bool, b *benches) []group {
	type key struct {
		mask   string
		course *course
	}
	byKey := map[key]int{}
	var out []group
	for _, f := range w.flows {
		if requests && f.call.Protocol == series.TCP {
			continue
		}
		mask, any := b.maskOf(q.Selectors, f, of)
		if !any {
			continue
		}
		k := key{mask, f.course}
		n, ok := byKey[k]
		if !ok {
			n = len(out)
			byKey[k] = n
			out = append(out, group{mask: k.mask})
		}
		out[n].flows = append(out[n].flows, f)
	}
	return out
}

// maskOf says which of the selectors take the flow, those of the recording rules that they name included. any says that
// one of them does. Rules on themselves were refused before.
func (b *benches) maskOf(selectors []promql.Selector, f *flow, of *source.Query) (mask string, any bool) {
	for _, s := range selectors {
		if !takes(s, f, of) {
			mask += "0"
			continue
		}
		mask += "1"
		id, taken := b.below(s.Metric, f)
		mask, any = mask+id, any || taken
	}
	return mask, any
}

// below is what the rules that make a metric take of a flow, as a short name; "" and true for what is no rule's. It is
// asked once for each: rules that name each other twice would double the work with each of them.
func (b *benches) below(metric string, f *flow) (string, bool) {
	rules := b.recorded(metric)
	if len(rules) == 0 {
		return "", true
	}
	key := reachKey{metric, f}
	if r, ok := b.reached[key]; ok {
		return r.id, r.any
	}
	all, r := "", reach{}
	for _, rule := range rules {
		mask, any := b.maskOf(rule.Selectors, f, nil)
		all, r.any = all+mask+" ", r.any || any
	}
	id, ok := b.ids[all]
	if !ok {
		id = fmt.Sprintf("(%d)", len(b.ids))
		b.ids[all] = id
	}
	r.id = id
	b.reached[key] = r
	return r.id, r.any
}

type reachKey struct {
	metric string
	f      *flow
}

type reach struct {
	id  string
	any bool
}

// recorded are the rules that make a metric.
func (b *benches) recorded(metric string) []*promql.Query {
	if b.byRecord == nil {
		b.byRecord = map[string][]*promql.Query{}
		for _, r := range b.rules {
			if q, err := promql.Parse(r.Expr); err == nil {
				b.byRecord[r.Record] = append(b.byRecord[r.Record], q)
			}
		}
	}
	return b.byRecord[metric]
}

// takes says whether the selector's matchers on who calls whom admit a call. Matchers on labels that say something else
// are not asked, nor those that name a variable with any value.
func takes(s promql.Selector, f *flow, q *source.Query) bool {
	for _, m := range s.Matchers {
		v, ok := f.labels[m.Name]
		if strings.Contains(m.Value, stands) {
			if ok && !admits(m, v, f, q) {
				return false
			}
			continue
		}
		if ok {
			if !m.Matches(v) {
				return false
			}
			continue
		}
		if targets := f.targets(m.Name); targets != nil && !slices.ContainsFunc(targets, m.Matches) {
			return false
		}
	}
	return true
}

// targets are what a label of the scrape target may be for those who report a call: the pods at both ends, waypoints on
// the way, and ztunnel; nil for labels that are not asked about.
func (f *flow) targets(label string) []string {
	from, to := f.call.From, f.call.To
	var out []string
	switch label {
	case "namespace":
		out = []string{from.Namespace, to.Namespace, ztunnelNamespace}
	case "app":
		return []string{from.App, to.App, "ztunnel", ""}
	case "pod":
		// Pods of the model are called like this.
		out = []string{from.Name + "-0", to.Name + "-0", "ztunnel-" + to.Namespace + "-" + to.Name + "-0"}
	default:
		return nil
	}
	for _, w := range f.ways {
		switch {
		case w.waypoint.Name == "":
		case label == "namespace":
			out = append(out, w.waypoint.Namespace)
		default:
			out = append(out, w.waypoint.Name+"-0")
		}
	}
	return out
}

// ztunnelNamespace is where the model has ztunnel.
const ztunnelNamespace = "istio-system"

// admits says whether a matcher that names variables admits a value when they are filled in for the call.
func admits(m *labels.Matcher, value string, f *flow, q *source.Query) bool {
	text := m.Value
	for i, v := range q.Variables {
		text = strings.ReplaceAll(text, fmt.Sprintf("%s%d.", stands, i), valueFor(v, q, f))
	}
	filled, err := labels.NewMatcher(m.Type, m.Name, text)
	return err == nil && filled.Matches(value)
}
