package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambientplan/ambientplan/telemetry/span"
)

// variable finds one by name among those that queries name.
func variable(t *testing.T, f *File, name string) *Variable {
	t.Helper()
	for _, q := range f.Queries {
		for _, v := range q.Variables {
			if v.Name == name {
				return v
			}
		}
	}
	t.Fatalf("%s: nothing names %s", f.Path, name)
	return nil
}

func TestVariables(t *testing.T) {
	f := parsed(t, "classic.json")
	type facts struct {
		Kind                       VariableKind
		Spellings, Values, Current []string
		Label, AllValue            string
		Multi, All                 bool
		Line                       int
	}
	for name, want := range map[string]facts{
		"qrep":            {Kind: Fixed, Spellings: []string{"$qrep"}, Values: []string{"source", "destination"}, Current: []string{"destination"}, Multi: true, Line: 13},
		"window":          {Kind: Fixed, Spellings: []string{"$window"}, Values: []string{"1m", "5m"}, Current: []string{"5m"}, Line: 21},
		"service":         {Kind: Queried, Spellings: []string{"${service:raw}"}, Label: "destination_service", Line: 22},
		"__rate_interval": {Kind: Given, Spellings: []string{"$__rate_interval"}, Values: []string{"1m"}},
	} {
		v := variable(t, f, name)
		if d := cmp.Diff(want, facts{v.Kind, v.Spellings, v.Values, v.Current, v.Label, v.AllValue, v.Multi, v.All, v.Line}); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// change edits a variable and reads the file again.
func change(t *testing.T, f *File, v *Variable, old, with string) (string, *File) {
	t.Helper()
	edits, err := v.Edit(old, with)
	if err != nil {
		t.Fatalf("%s: %v", f.Path, err)
	}
	data, err := span.Apply(f.Data, edits)
	if err != nil {
		t.Fatal(err)
	}
	return data, Parse(f.Path, data, promQL)
}

// A variable that lets one select several values gets one more: Grafana would escape the | in a value.
func TestAReporterIsAddedInEachNotation(t *testing.T) {
	for name, variableName := range map[string]string{"classic.json": "qrep", "configmap.yaml": "qrep", "v2.yaml": "qrep", "perses.yaml": "rep"} {
		f := parsed(t, name)
		before := len(f.Queries)
		_, after := change(t, f, variable(t, f, variableName), "destination", "destination|waypoint")
		v := variable(t, after, variableName)
		if d := cmp.Diff([]string{"source", "destination", "waypoint"}, v.Values); d != "" {
			t.Errorf("%s: values: %s", name, d)
		}
		if d := cmp.Diff([]string{"destination", "waypoint"}, v.Current); d != "" {
			t.Errorf("%s: current: %s", name, d)
		}
		if len(after.Queries) != before {
			t.Errorf("%s: %d queries become %d", name, before, len(after.Queries))
		}
		if _, err := v.Edit("destination", "destination|waypoint"); err == nil {
			t.Errorf("%s: the value is added twice", name)
		}
	}
	// JSON in a double-quoted scalar.
	f := parsed(t, "configmap.yaml")
	v := f.Queries[1].Variables[0]
	_, after := change(t, f, v, "destination", "destination|waypoint")
	if d := cmp.Diff([]string{"destination", "waypoint"}, after.Queries[1].Variables[0].Current); d != "" {
		t.Error(d)
	}
}

func TestTheDefinitionIsChangedInAllPlaces(t *testing.T) {
	const data = `{"title":"t","panels":[{"targets":[{"expr":"x{a=~\"$m\",b=~\"$s\"}"}]}],"templating":{"list":[
 {"name":"m","type":"custom","multi":true,"query":"source,destination","options":[{"selected":true,"text":"destination","value":"destination"}],
  "current":{"text":"destination","value":"destination"}},
 {"name":"s","type":"custom","query":"All : source|destination, Server : destination","options":[{"text":"Server","value":"destination"}],
  "current":{"text":"destination","value":"destination"}}]}}`
	f := Parse("x.json", data, promQL)
	got, _ := change(t, f, variable(t, f, "m"), "destination", "destination|waypoint")
	want := `{"title":"t","panels":[{"targets":[{"expr":"x{a=~\"$m\",b=~\"$s\"}"}]}],"templating":{"list":[
 {"name":"m","type":"custom","multi":true,"query":"source,destination,waypoint","options":[{"selected":true,"text":"destination","value":"destination"},{"selected":true,"text":"waypoint","value":"waypoint"}],
  "current":{"text":["destination", "waypoint"],"value":["destination", "waypoint"]}},
 {"name":"s","type":"custom","query":"All : source|destination, Server : destination","options":[{"text":"Server","value":"destination"}],
  "current":{"text":"destination","value":"destination"}}]}}`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got, _ = change(t, f, variable(t, f, "s"), "destination", "destination|waypoint")
	want = `{"title":"t","panels":[{"targets":[{"expr":"x{a=~\"$m\",b=~\"$s\"}"}]}],"templating":{"list":[
 {"name":"m","type":"custom","multi":true,"query":"source,destination","options":[{"selected":true,"text":"destination","value":"destination"}],
  "current":{"text":"destination","value":"destination"}},
 {"name":"s","type":"custom","query":"All : source|destination, Server : destination|waypoint","options":[{"text":"Server","value":"destination|waypoint"}],
  "current":{"text":"destination|waypoint","value":"destination|waypoint"}}]}}`
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, wrong := range [][2]string{{"nobody", "nobody|waypoint"}, {"", "x"}} {
		if e, err := variable(t, f, "m").Edit(wrong[0], wrong[1]); err == nil {
			t.Errorf("%v gives %v", wrong, e)
		}
	}
}

// Grafana's prometheusSpecialRegexEscape is for variables with a value for all as well; with one value selected there is
// no way to say "destination or waypoint".
func TestAVariableWithAllAndOneValueIsNotWidened(t *testing.T) {
	f := Parse("x.json", `{"title":"t","panels":[{"targets":[{"expr":"x{a=~\"$m\"}"}]}],"templating":{"list":[
 {"name":"m","type":"custom","includeAll":true,"query":"source,destination"}]}}`, promQL)
	v := variable(t, f, "m")
	if e, err := v.Edit("destination", "destination|waypoint"); err == nil {
		t.Errorf("it gives %v", e)
	}
	if got, _ := change(t, f, v, "destination", "server"); !strings.Contains(got, `"query":"source,server"`) {
		t.Errorf("a value for another gives %s", got)
	}
}

func TestElementsOfCustomVariables(t *testing.T) {
	var got []string
	for _, e := range elements(`a, b\,c ,Label : d , 5xx : 5..`) {
		got = append(got, e.value)
	}
	if d := cmp.Diff([]string{"a", "b,c", "d", "5.."}, got); d != "" {
		t.Error(d)
	}
}
