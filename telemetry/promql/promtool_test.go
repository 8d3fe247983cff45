package promql_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/ambientplan/ambientplan/telemetry/promql"
	"github.com/ambientplan/ambientplan/telemetry/series"
)

// TestUnitTestFile reads the emitted file as promtool does: series and values by Prometheus's own parser, and checks that a
// state's counters are what the expected samples say.
func TestUnitTestFile(t *testing.T) {
	w := worlds()
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, []series.State{w[0], w[2], w[4]})
	if err != nil {
		t.Fatal(err)
	}
	original, err := promql.Parse(`sum(rate(istio_requests_total{` + dst + `}[5m]))`)
	if err != nil {
		t.Fatal(err)
	}
	r := b.Rewrite(original)
	rewritten, err := promql.Parse(r.Text)
	if err != nil {
		t.Fatal(err)
	}
	out, err := b.UnitTest([]*promql.Query{original, rewritten}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Interval string `yaml:"evaluation_interval"`
		Tests    []struct {
			Name        string
			Interval    string
			InputSeries []struct{ Series, Values string } `yaml:"input_series"`
			Exprs       []struct {
				Expr     string
				EvalTime string `yaml:"eval_time"`
				Samples  []struct {
					Labels string
					Value  float64
				} `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		}
	}
	if err := yaml.Unmarshal(out, &file); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, test := range file.Tests {
		perSecond := 0.0
		for _, in := range test.InputSeries {
			l, values, err := parser.NewParser(parser.Options{}).ParseSeriesDesc(in.Series + " " + in.Values)
			if err != nil {
				t.Fatalf("%s %s: %v", in.Series, in.Values, err)
			}
			at, err := time.ParseDuration(test.Exprs[0].EvalTime)
			if err != nil || len(values) != int(at/(15*time.Second))+1 {
				t.Errorf("%d values until %s", len(values), at)
			}
			excluded := regexp.MustCompile("^waypoint$").MatchString(l.Get("source_workload"))
			if r := l.Get("reporter"); r != "source" && !excluded {
				perSecond += (values[1].Value - values[0].Value) / 15
			}
		}
		line := test.Name
		for _, e := range test.Exprs {
			if len(e.Samples) == 0 {
				line += " -"
				continue
			}
			line += fmt.Sprintf(" %g", math.Round(e.Samples[0].Value))
		}
		if math.Abs(perSecond-100) > 1e-6 {
			t.Errorf("%s: the series of the view grow by %g a second", test.Name, perSecond)
		}
		got = append(got, line)
	}
	if g, want := strings.Join(got, ", "), "sidecar 100 100, A->S+W 100 100, waypoint - 100"; g != want {
		t.Errorf("got %s, want %s\n%s", g, want, out)
	}
}

func TestUnitTestTooLong(t *testing.T) {
	b, err := promql.NewBench(promql.Input{Traffic: probed()}, worlds())
	if err != nil {
		t.Fatal(err)
	}
	q, err := promql.Parse(`sum(rate(istio_requests_total[30d]))`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.UnitTest([]*promql.Query{q}, nil); err == nil {
		t.Error("30 days of samples were written")
	}
}
