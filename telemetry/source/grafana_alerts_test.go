package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Grafana's two APIs answer, and provisioning's older thresholds, which name the query in the condition.
func TestAlertsOfTheAPIs(t *testing.T) {
	const data = `"data":[
  {"refId":"A","datasourceUid":"p","model":{"expr":"sum(rate(istio_requests_total[5m]))"}},
  {"refId":"L","datasourceUid":"x","model":{"query":"istio_requests_total"}},
  {"refId":"B","datasourceUid":"__expr__","model":{"type":"threshold","conditions":[{"evaluator":{"type":"lt","params":[1]},"query":{"params":["A"]},"reducer":{"type":"last"}}]}}]`
	for name, text := range map[string]string{
		"provisioning": `[{"uid":"u","title":"T","condition":"B","for":"5m","noDataState":"OK","folderUID":"f","ruleGroup":"g","labels":{"a":"b"},` + data + `}]`,
		"ruler":        `{"f":[{"name":"g","rules":[{"for":"5m","labels":{"a":"b"},"grafana_alert":{"uid":"u","title":"T","condition":"B","no_data_state":"OK",` + data + `}}]}]}`,
	} {
		f := Parse("x.json", text, promQL)
		if len(f.Queries) != 1 || len(f.Notes) != 1 || f.Notes[0].Kind != FlagOnly {
			t.Fatalf("%s: %d queries, %+v", name, len(f.Queries), f.Notes)
		}
		q := f.Queries[0]
		if d := cmp.Diff(&Threshold{Op: "<", Value: 1}, q.Threshold); d != "" || q.Condition != "A < 1" {
			t.Errorf("%s: %q %s", name, q.Condition, d)
		}
		if d := cmp.Diff(Object{Kind: "Grafana alert rules", Name: "g", UID: "u", Owner: "f"}, q.Object); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if q.OnEmpty != EmptySilent || q.For.Minutes() != 5 || q.Labels["a"] != "b" || q.Name != "T" {
			t.Errorf("%s: %+v", name, q)
		}
	}
}

func TestConditionsThatAreNoThreshold(t *testing.T) {
	const rule = `{"condition":"C","title":"t","data":[{"refId":"A","model":{"expr":"up"}},{"refId":"C","datasourceUid":"__expr__","model":{%}}]}`
	for _, c := range []struct{ model, want string }{
		{`"type":"threshold","expression":"A","conditions":[{"evaluator":{"type":"within_range","params":[1,2]}}]`, "A within range 1 to 2"},
		{`"type":"threshold","expression":"A","conditions":[{"evaluator":{"type":"gt","params":[1]},"unloadEvaluator":{"type":"lt"}}]`, "A > 1"},
		{`"type":"math","expression":"abs($A) > 1 && $A < 5"`, "abs(A) > 1 && A < 5"},
		{`"type":"sql","expression":"select"`, "C"},
		{`"type":"classic_conditions","conditions":[{"evaluator":{"type":"gt","params":[1]},"query":{"params":["A"]}},
			{"operator":{"type":"or"},"evaluator":{"type":"no_value"},"query":{"params":["A"]}}]`, "the result > 1 or the result no value"},
		// Expressions that name each other end.
		{`"type":"threshold","expression":"C","conditions":[{"evaluator":{"type":"gt","params":[1]}}]`, "C" + strings.Repeat(" > 1", maxChain+1)},
	} {
		f := Parse("x.json", strings.Replace(rule, "%", c.model, 1), promQL)
		if len(f.Queries) != 1 {
			t.Fatalf("%s: %+v", c.model, f.Notes)
		}
		if q := f.Queries[0]; q.Threshold != nil || q.Condition != c.want {
			t.Errorf("%s: %q %+v", c.model, q.Condition, q.Threshold)
		}
	}
}

// Tabs and rows of schema v2 have variables of their own.
func TestVariablesOfTabs(t *testing.T) {
	const v = `{"kind":"CustomVariable","spec":{"name":"r","query":"source,destination"}}`
	f := Parse("x.json", `{"apiVersion":"dashboard.grafana.app/v2","kind":"Dashboard","metadata":{"name":"d"},"spec":{"elements":{"p":{"kind":"Panel","spec":{"title":"P",
"data":{"kind":"QueryGroup","spec":{"queries":[{"kind":"PanelQuery","spec":{"query":{"kind":"DataQuery","group":"prometheus","spec":{"expr":"up{r=\"$r\"}"}}}}]}}}}},
"layout":{"kind":"TabsLayout","spec":{"tabs":[{"kind":"TabsLayoutTab","spec":{"variables":[`+v+`],"layout":{"kind":"RowsLayout","spec":{"rows":[{"spec":{"variables":[`+v+`]}}]}}}}]}}}}`, promQL)
	if len(f.Queries) != 1 || len(f.Queries[0].Variables) != 1 || f.Queries[0].Variables[0].Kind != Fixed {
		t.Fatalf("%+v", f.Queries)
	}
	if len(f.Notes) != 1 || f.Notes[0].Kind != Suspicious {
		t.Errorf("a variable that is defined twice is not noted: %+v", f.Notes)
	}
}
