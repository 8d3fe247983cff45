package agree

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	randomSets = flag.Int("agree.sets", 2000, "how many random sets of policies are compared")
	randomSeed = flag.Int("agree.seed", 1, "seed of the first; 0 takes the time")
)

// batch is how many sets share two istiods: one for even seeds, one for odd ones,
// whose mesh has aliases of its trust domain.
const batch = 200

// TestRandomPolicies compares random policies of a workload on random requests and
// on every cell that mesh divides requests into. Each set is drawn from a seed of
// its own, which is in its name: -agree.seed=N -agree.sets=1 draws it again.
func TestRandomPolicies(t *testing.T) {
	seed := *randomSeed
	if seed == 0 {
		seed = int(time.Now().UnixNano() % 1_000_000_000)
	}
	t.Logf("%d sets from -agree.seed=%d", *randomSets, seed)
	draw := rapid.Custom(drawSet)
	for from := 0; from < *randomSets; from += batch {
		t.Run(fmt.Sprintf("from %d", seed+from), func(t *testing.T) {
			var even, odd []set
			for i := from; i < min(from+batch, *randomSets); i++ {
				s := draw.Example(seed + i)
				s.name = fmt.Sprintf("seed %d", seed+i)
				if (seed+i)%2 == 0 {
					even = append(even, s)
				} else {
					odd = append(odd, s)
				}
			}
			for _, d := range slices.Concat(compare(t, plain, even), compare(t, aliased, odd)) {
				t.Error(d)
			}
		})
		if t.Failed() {
			return
		}
	}
}
