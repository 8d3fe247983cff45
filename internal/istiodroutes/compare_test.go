package istiodroutes

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

// recorded may name another file of cases, to look at those that the module test/e2e has written.
var recorded = flag.String("cases", "testdata/recorded.json", "recorded cases to compare")

// TestRecorded compares with what a real istiod generated for random meshes. The file is written by the module
// test/e2e: cd test/e2e && go test -run TestRoutesAgainstIstiod -record ../../internal/istiodroutes/testdata/recorded.json
func TestRecorded(t *testing.T) {
	b, err := os.ReadFile(*recorded)
	if err != nil {
		t.Fatal(err)
	}
	var cases []*Case
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	asked, compared := 0, 0
	for i, c := range cases {
		for _, proxy := range []string{"web", "cart", "waypoint"} {
			asked++
			ds, known, err := c.Compare(proxy)
			if err != nil {
				t.Fatalf("case %d, %s: %v", i, proxy, err)
			}
			if known {
				compared++
			}
			if len(ds) > 0 {
				t.Errorf("case %d, %s:\n%s\nfor\n%s", i, proxy, strings.Join(ds, "\n"), strings.Join(c.Objects, "\n---\n"))
			}
		}
	}
	t.Logf("%d of %d answers compared, mesh does not know the rest", compared, asked)
	if compared < asked*8/10 {
		t.Errorf("only %d of %d answers were compared", compared, asked)
	}
}
