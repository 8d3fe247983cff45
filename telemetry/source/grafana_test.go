package source

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// parsed reads a file of testdata/grafana.
func parsed(t *testing.T, name string) *File {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "grafana", name))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(name, string(data), promQL)
}

// listed writes a query in one line: where it is, what it is, what it rests on.
func listed(q *Query) string {
	s := fmt.Sprintf("%d %s %q %s", q.Line, q.Path, q.Name, q.Role)
	if q.SelectorOnly {
		s += " selector"
	}
	if q.Unread != "" {
		s += " unread"
	}
	if q.Frozen != "" {
		s += " frozen"
	}
	return s + " " + strings.Join(q.variableNames(), ",")
}

func TestFormsOfDashboards(t *testing.T) {
	for name, want := range map[string][]string{
		"classic.json": {
			`24 templating.list[4].query "service" variable selector `,
			`26 templating.list[5].query.query "workload" variable qrep`,
			`9 annotations.list[1].expr "deploys" annotation `,
			`31 panels[0].panels[0].targets[0].expr "Rate" panel qrep,service,window`,
			`37 panels[1].targets[0].expr "Mixed" panel unread `,
			`39 panels[1].targets[2].expr "Mixed" panel __rate_interval`,
			`42 panels[3].targets[0].expr "Broken" panel unread `,
			`43 panels[4].targets[0].expr "Helm" panel frozen `,
			`44 panels[5].targets[0].expr "503s" alert `,
		},
		"rows.json":     {`1 rows[0].panels[0].targets[0].expr "A" panel `},
		"envelope.json": {`1 dashboard.panels[0].targets[0].expr "A" panel frozen `},
		"v2.json": {
			`14 spec.variables[2].spec.query.spec.query "ns" variable selector qrep`,
			`7 spec.annotations[0].spec.query.spec.expr "builds" annotation `,
			`19 spec.elements.panel-1.spec.data.spec.queries[0].spec.query.spec.expr "Rate" panel __rate_interval,qrep`,
			`21 spec.elements.panel-1.spec.data.spec.queries[2].spec.query.spec.expr "Rate" panel unread `,
		},
		"v2.yaml": {`41 spec.elements.panel-1.spec.data.spec.queries[0].spec.query.spec.expr "Rate" panel qrep`},
		"perses.yaml": {
			`27 spec.variables[1].spec.plugin.spec.matchers[0] "ns" variable selector rep`,
			`40 spec.panels.rate.spec.queries[0].spec.plugin.spec.query "Rate" panel ns,rep`,
			`46 spec.panels.rate.spec.queries[1].spec.plugin.spec.query "Rate" panel unread `,
		},
		"configmap.yaml": {
			`24 data["block.json"].panels[0].targets[0].expr "A" panel qrep`,
			`28 data["double.json"].panels[0].targets[0].expr "panel without a title" panel qrep`,
			`34 binaryData["packed.json"].panels[0].targets[0].expr "A" panel frozen `,
			`44 data["mesh.json"].panels[0].targets[0].expr "It's" panel `,
		},
		"operator.yaml": {
			`9 spec.json.panels[0].targets[0].expr "A" panel __interval`,
			`16 spec.gzipJson.panels[0].targets[0].expr "A" panel frozen `,
			`57 spec.json.targets[0].expr "Errors" panel `,
			`78 spec.rules[0].data[0].model.expr "Errors" alert `,
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := parsed(t, name)
			var got []string
			for _, q := range f.Queries {
				got = append(got, listed(q))
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestObjectsOfQueries(t *testing.T) {
	for name, want := range map[string]Object{
		"classic.json":   {Kind: "Dashboard", Name: "Shop", UID: "shop", Owner: "payments"},
		"envelope.json":  {Kind: "Dashboard", Name: "Copy", UID: "shop", Owner: "Mesh"},
		"v2.json":        {Kind: "Dashboard", Name: "Shop v2", UID: "shop-v2", Owner: "mesh"},
		"perses.yaml":    {Kind: "PersesDashboard", Namespace: "observability", Name: "shop"},
		"configmap.yaml": {Kind: "Dashboard", Namespace: "monitoring", Name: "Block", UID: "block", Owner: "/tmp/dashboards/Mesh"},
		"operator.yaml":  {Kind: "Dashboard", Namespace: "monitoring", Name: "CR", UID: "cr", Owner: "Mesh"},
		"alerts.yaml":    {Kind: "Grafana alert rules", Name: "mesh", UID: "ratio", Owner: "Payments"},
	} {
		if d := cmp.Diff(want, parsed(t, name).Queries[0].Object); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// What is not read is said, at its line.
func TestNotesOfDashboards(t *testing.T) {
	kinds := map[NoteKind]string{Unreadable: "unreadable", Remote: "remote", Unrecognised: "unrecognised", FlagOnly: "flag", Suspicious: "suspicious"}
	for name, want := range map[string][]string{
		"classic.json":   {"38 flag", "41 remote"},
		"v2.json":        {"23 remote"},
		"configmap.yaml": {"29 remote", "31 unreadable", "32 suspicious", "51 unrecognised"},
		"operator.yaml":  {"23 remote", "31 remote", "39 unreadable", "48 remote"},
	} {
		var got []string
		for _, n := range parsed(t, name).Notes {
			got = append(got, fmt.Sprintf("%d %s", n.Line, kinds[n.Kind]))
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestManagedAlertsSayWhatSilenceDoes(t *testing.T) {
	type alert struct {
		Name, Condition string
		Threshold       *Threshold
		OnEmpty         OnEmpty
		For             time.Duration
	}
	var got []alert
	for _, q := range append(parsed(t, "alerts.yaml").Queries, parsed(t, "operator.yaml").Queries[3]) {
		got = append(got, alert{q.Name, q.Condition, q.Threshold, q.OnEmpty, q.For})
	}
	got = append(got, func() alert {
		q := parsed(t, "classic.json").Queries[8]
		return alert{q.Name, q.Condition, q.Threshold, q.OnEmpty, q.For}
	}())
	want := []alert{
		// A ratio of two queries is no threshold on one of them.
		{"Error ratio", "A / B > 0.05", nil, EmptyFires, 2 * time.Minute},
		{"Error ratio", "A / B > 0.05", nil, EmptyFires, 2 * time.Minute},
		{"No traffic", "A < 1", &Threshold{Op: "<", Value: 1}, EmptyKeeps, 0},
		{"Classic", "avg(A) within range 1 to 2", nil, EmptyFires, 0},
		{"Errors", "last(A) > 0.5", &Threshold{Reducer: "last", Op: ">", Value: 0.5}, EmptySilent, 5 * time.Minute},
		{"503s", "avg() > 2", &Threshold{Reducer: "avg", Op: ">", Value: 2}, EmptyFires, 5 * time.Minute},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestLanguageIsThatOfTheDataSource(t *testing.T) {
	for _, c := range []struct {
		target, panel, expr string
		want                Language
	}{
		{`{"type":"prometheus"}`, `null`, `up`, PromQL},
		{`{"type":"loki"}`, `{"type":"prometheus"}`, `{app="x"}`, LogQL},
		{`null`, `{"type":"loki"}`, `{app="x"}`, LogQL},
		{`"$ds"`, `null`, `up`, PromQL},
		{`{"uid":"${logs}"}`, `null`, `{app="x"}`, LogQL},
		{`null`, `"-- Mixed --"`, `up`, PromQL},
		{`null`, `null`, `{app="x"} |= "y"`, LogQL},
		{`{"type":"influxdb"}`, `null`, `select`, OtherLanguage},
		{`"Some name"`, `null`, `not PromQL`, LanguageUnknown},
	} {
		data := fmt.Sprintf(`{"title":"t","templating":{"list":[{"name":"ds","type":"datasource","query":"prometheus"},{"name":"logs","type":"datasource","query":"loki"}]},
"panels":[{"datasource":%s,"targets":[{"datasource":%s,"expr":%q}]}]}`, c.panel, c.target, c.expr)
		f := Parse("x.json", data, promQL)
		if len(f.Queries) != 1 || f.Queries[0].Language != c.want || (c.want == PromQL) != (f.Queries[0].Expr != "") {
			t.Errorf("%+v: %+v", c, f.Queries)
		}
	}
}

func TestSelectionsOfVariables(t *testing.T) {
	for _, c := range []struct{ text, expr, label string }{
		{`label_values(istio_requests_total{a="b"}, pod)`, `istio_requests_total{a="b"}`, "pod"},
		{`label_values(pod)`, ``, "pod"},
		{` label_values( up , pod ) `, `up `, "pod"},
		{`label_values({__name__=~"a|b", c=~"$d"},e)`, `{__name__=~"a|b", c=~"$d"}`, "e"},
		{`query_result(sum(x) by (y))`, `sum(x) by (y)`, ""},
		{`metrics(istio_.*)`, ``, ""},
		{`label_names()`, ``, ""},
		{`up{a="b"}`, `up{a="b"}`, ""},
	} {
		s := selectionOf(c.text)
		if got := c.text[s.from:s.to]; got != c.expr || s.values != c.label {
			t.Errorf("%s: %q of %q", c.text, s.values, got)
		}
	}
	if l := (selection{}).label(`/.*source_workload="([^"]*).*/`); l != "source_workload" {
		t.Errorf("the label of a regex is %q", l)
	}
}

func TestDuplicateUIDs(t *testing.T) {
	notes := Duplicates([]*File{parsed(t, "classic.json"), parsed(t, "v2.json"), parsed(t, "envelope.json")})
	if len(notes) != 1 || notes[0].File != "envelope.json" || !strings.Contains(notes[0].Text, "classic.json:1") {
		t.Errorf("%+v", notes)
	}
}

// Grafana shows the definition and asks the query: they are the same text.
func TestTheDefinitionOfAVariableFollowsItsQuery(t *testing.T) {
	f := parsed(t, "classic.json")
	q := f.Queries[0]
	at := strings.Index(q.Expr, `"destination"`)
	edits, err := q.Edits([]span.Edit{{Start: at, End: at + len(`"destination"`), Text: `"waypoint"`}})
	if err != nil {
		t.Fatal(err)
	}
	after, err := span.Apply(f.Data, edits)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(after, `label_values(istio_requests_total{reporter=\"waypoint\"}, destination_service)`); n != 2 {
		t.Errorf("%d of 2 places are changed", n)
	}
}
