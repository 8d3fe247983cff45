package promql

import (
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// Trial is a query on one bench, with the values that its variables have there. The trials of one query differ in the
// traffic: a rewrite must be right for each of them.
type Trial struct {
	Bench *Bench
	Query *Query
}

// Names are what the forms of a rewrite are filled with: all waypoints and gateways that may stand on the ways of the
// query's calls, those of the trials among them.
type Names struct {
	Waypoints []series.Workload
	// Gateways are the workloads' names of gateways that go through waypoints.
	Gateways []string
	// TCP are the names of the services that speak TCP: for offers on connections, which all traffic has by now.
	TCP []string
}

func (n Names) patterns() names {
	var out names
	var principals, workloads, gateways, tcp []string
	for _, s := range n.TCP {
		tcp = append(tcp, regexp.QuoteMeta(s))
	}
	for _, w := range n.Waypoints {
		principals = append(principals, ".*"+regexp.QuoteMeta(strings.TrimPrefix(w.Principal(), "spiffe://cluster.local")))
		workloads = append(workloads, regexp.QuoteMeta(w.Name))
	}
	for _, g := range n.Gateways {
		gateways = append(gateways, regexp.QuoteMeta(g))
	}
	join := func(all []string) string {
		slices.Sort(all)
		return strings.Join(slices.Compact(all), "|")
	}
	out.principals, out.workloads, out.gateways, out.tcp = join(principals), join(workloads), join(gateways), join(tcp)
	return out
}

// RewriteAll chooses the smallest form that is right on all trials, in every state of each. If there is none, the
// one that is right in most states is returned with those where it is not. Trials whose traffic the query does not
// select say nothing and are left out; without any that says something nothing is proposed.
func RewriteAll(trials []Trial, n Names) Rewrite {
	patterns := n.patterns()
	all := trials
	trials = slices.DeleteFunc(slices.Clone(trials), func(t Trial) bool { return !t.sees() })
	if len(trials) == 0 {
		none := Rewrite{Factor: 1}
		if len(all) > 0 {
			none.Text, none.Offers = all[0].Query.Text, all[0].Bench.offers(all[0].Query, patterns)
		}
		return none
	}
	first := trials[0]
	best := Rewrite{Text: first.Query.Text, Factor: 1}
	tried := map[string]bool{}
	consider := func(build func(t Trial) (Rewrite, bool)) bool {
		r, ok := together(trials, build, tried)
		if ok && r.better(best) {
			best = r
		}
		return best.Complete()
	}
	done := false
	for _, c := range candidates() {
		if done = consider(func(t Trial) (Rewrite, bool) { return t.Bench.build(t.Query, c, patterns) }); done {
			break
		}
	}
	if !done {
		consider(func(t Trial) (Rewrite, bool) { return t.Bench.buildEither(t.Query, patterns) })
	}
	if len(best.Failed) > 0 {
		best.Connections = first.Bench.connections(first.Query, patterns)
	}
	if !best.Complete() {
		best.Offers = first.Bench.offers(first.Query, patterns)
	}
	best.Assumes = assumed(first.Query, best)
	return best
}

// Check proves a rewrite, made on some trials of a query, on others of it: the states in which it is not equal to the
// original on the old model, with why. Trials that say nothing of the query are left out.
func Check(trials []Trial, r Rewrite) []Failure {
	var failed []Failure
	for _, t := range trials {
		if !t.sees() {
			continue
		}
		a, err := t.Bench.attempt(t.Query, &r)
		for i, s := range t.Bench.states {
			if err != nil {
				failed = append(failed, Failure{State: s.Name, Reason: err.Error()})
				continue
			}
			if why := a.unequal(i); why != "" {
				failed = append(failed, Failure{State: s.Name, Reason: why})
			}
		}
	}
	return failed
}

// sees says that the bench's traffic is such that something can be said of the query.
func (t Trial) sees() bool {
	t.Bench.forget()
	if t.Bench.prepare(t.Query).err != nil || len(t.Bench.states) == 0 || bounded(t.Query) != nil {
		return false
	}
	every := make([]int, len(t.Bench.states))
	for i := range every {
		every[i] = i
	}
	return t.Bench.blindTo(t.Query, every...) == ""
}

// together proves one way of rewriting on all trials. It fails when it does not fit one of them, is not the original
// on the old model, or reads differently.
func together(trials []Trial, build func(t Trial) (Rewrite, bool), tried map[string]bool) (Rewrite, bool) {
	var all Rewrite
	for i, t := range trials {
		r, ok := build(t)
		if !ok || i == 0 && tried[r.literal] {
			return all, false
		}
		if i == 0 {
			tried[r.literal] = true
		}
		if !t.Bench.prove(t.Query, &r, len(t.Bench.states)) {
			return all, false
		}
		if i == 0 {
			all = r
			continue
		}
		if r.Text != all.Text || !same(r.Factor, all.Factor) {
			return all, false
		}
		all.Form = max(all.Form, r.Form)
		all.Proved = append(all.Proved, r.Proved...)
		all.Failed = append(all.Failed, r.Failed...)
		all.misses += r.misses
	}
	return all, true
}

// Asks says what a query rests on, itself or through recording rules.
type Asks struct {
	// Calls and Proxies say that it selects metrics of calls, and of what belongs to no call.
	Calls, Proxies bool
	// Requests says that it asks for metrics of requests only, which nobody reports of TCP.
	Requests bool
	// Absent says that it watches for absence, or subtracts one set from another.
	Absent bool
	// Selectors of the query and of the rules that it rests on.
	Selectors []Selector
}

// AskedBy reads what a query rests on. It fails when recording rules rest on themselves or do not parse.
func AskedBy(q *Query, rules []Rule) (Asks, error) {
	order, err := needed(q, rules)
	if err != nil {
		return Asks{}, err
	}
	a := Asks{Requests: true}
	for _, l := range leaves(q, order) {
		a.Selectors = append(a.Selectors, l.Selector)
		calls := false
		for _, f := range series.Families() {
			for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
				if l.named(f.Name + suffix) {
					calls = true
					a.Requests = a.Requests && f.Request
				}
			}
		}
		a.Calls, a.Proxies = a.Calls || calls, a.Proxies || !calls
		a.Absent = a.Absent || l.UnderAbsent()
	}
	a.Absent = a.Absent || subtracts(q)
	return a, nil
}

// subtracts says that the query has an unless.
func subtracts(q *Query) bool {
	found := false
	parser.Inspect(q.Expr, func(n parser.Node, _ []parser.Node) error {
		b, ok := n.(*parser.BinaryExpr)
		found = found || ok && b.Op == parser.LUNLESS
		return nil
	})
	return found
}

// named says that the selector admits a metric of the name.
func (s Selector) named(name string) bool {
	found := false
	for _, m := range s.Matchers {
		if m.Name == nameLabel {
			found = true
			if !m.Matches(name) {
				return false
			}
		}
	}
	return found
}
