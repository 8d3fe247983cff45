package promql

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/ambientplan/ambientplan/telemetry/series"
)

// origin is who emits a series, in words, with the facts.
type origin struct {
	emitter series.Emitter
	who     string
	facts   []string
}

// block is what one call, or all workloads, emit in one situation. States and variants in which it is the same share
// it: a plan of a hundred states changes few calls at each step.
type block struct {
	// call is nil for the block of workloads.
	call *series.Call
	// state is one in which the situation is this.
	state    series.State
	everyone []series.Workload
	// families are made when they are asked for; "" is all of them.
	families map[string][]timed
	// picks are the series that a selector takes, by the selector's id.
	picks map[string]pick
}

// pick is what a selector takes of a block. Picks of the same sum are the same series: what another latency, or another
// client, does not change is not evaluated again.
type pick struct {
	all []*timed
	sum [sha256.Size]byte
}

// stock makes and keeps blocks.
type stock struct {
	blocks map[any]*block
	// family is the name in series.Families of each name that a call's series have.
	family map[string]string
	// names are the fingerprints of sets of series, numbered.
	names map[string]int
	// picked counts the entries of all picks.
	picked  int
	scratch []byte
}

func newStock() *stock {
	s := &stock{blocks: map[any]*block{}, family: map[string]string{}, names: map[string]int{}}
	for _, f := range series.Families() {
		switch f.Kind {
		case series.DurationHistogram, series.BytesHistogram:
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				s.family[f.Name+suffix] = f.Name
			}
		case series.Counter, series.BytesCounter, series.KindUnknown:
			s.family[f.Name] = f.Name
		}
	}
	return s
}

// of lists the blocks of some traffic in a state: one for each call, and that of the workloads at the end.
func (k *stock) of(t Traffic, everyone []series.Workload, s series.State) ([]*block, error) {
	type key struct {
		call      series.Call
		situation series.Situation
		// nth tells equal calls apart: both count.
		nth int
	}
	var all []*block
	nth := map[series.Call]int{}
	for i := range t.Calls {
		situation, err := series.SituationOf(t.Calls[i], s)
		if err != nil {
			return nil, err
		}
		all = append(all, k.block(key{t.Calls[i], situation, nth[t.Calls[i]]}, block{call: &t.Calls[i], state: s}))
		nth[t.Calls[i]]++
	}
	footprint, err := series.Footprint(everyone, s)
	if err != nil {
		return nil, err
	}
	return append(all, k.block(footprint, block{state: s, everyone: everyone})), nil
}

func (k *stock) block(key any, b block) *block {
	if have, ok := k.blocks[key]; ok {
		return have
	}
	b.families, b.picks = map[string][]timed{}, map[string]pick{}
	k.blocks[key] = &b
	return &b
}

// forget drops what selectors took, when that is much.
func (k *stock) forget() {
	for _, b := range k.blocks {
		clear(b.picks)
		clear(b.families)
	}
	clear(k.names)
	k.picked = 0
}

// pick lists the series of a block that a selector takes.
func (k *stock) pick(b *block, id string, s Selector) (pick, error) {
	if p, ok := b.picks[id]; ok {
		return p, nil
	}
	all, err := k.series(b, s.Metric)
	if err != nil {
		return pick{}, err
	}
	var p pick
	var content []byte
	for i := range all {
		t := &all[i]
		if !matchesAll(t.labels, s.Matchers) {
			continue
		}
		p.all = append(p.all, t)
		content = append(content, t.labels.Bytes(k.scratch)...)
		content = fmt.Appendf(content, "\x00%x %x %v\x00", t.rate, t.value, t.gauge)
	}
	if len(p.all) > 0 {
		p.sum = sha256.Sum256(content)
	}
	b.picks[id] = p
	k.picked += 1 + len(p.all)
	return p, nil
}

// series of a block that a metric name is among; "" asks for all.
func (k *stock) series(b *block, metric string) ([]timed, error) {
	family, ofCalls := k.family[metric]
	if metric != "" && ofCalls != (b.call != nil) {
		return nil, nil
	}
	if b.call == nil {
		family = ""
	}
	if all, ok := b.families[family]; ok {
		return all, nil
	}
	var (
		all []series.Series
		err error
	)
	if b.call != nil {
		all, err = series.EmitFamily(*b.call, b.state, family)
	} else {
		all, err = series.Workloads(b.everyone, b.state)
	}
	if err != nil {
		return nil, err
	}
	made := make([]timed, 0, len(all))
	var from *origin
	for _, one := range all {
		if who := whoOf(one); from == nil || from.who != who || from.emitter != one.Emitter {
			from = &origin{emitter: one.Emitter, who: who, facts: one.Facts}
		}
		made = append(made, newTimed(one, from))
	}
	b.families[family] = made
	return made, nil
}

// whoOf says in words who emits a series.
func whoOf(one series.Series) string {
	who := one.Emitter.String()
	if one.Path == "" {
		return who + " of " + one.Labels["namespace"] + "/" + one.Labels["pod"]
	}
	who += " (reporter=" + one.Labels["reporter"] + ") on " + one.Labels["destination_service_namespace"] + "/" + one.Labels["destination_service_name"]
	if w := one.Labels["source_workload"]; w != "" {
		who += " from " + w
	}
	return who
}

// touches is a quick no for calls of other services, whose labels all emitters agree on.
func touches(s Selector, c *series.Call) bool {
	for _, m := range s.Matchers {
		switch m.Name {
		case "destination_service_name":
			if !m.Matches(c.Service.Name) {
				return false
			}
		case "destination_service_namespace":
			if !m.Matches(c.Service.Namespace) {
				return false
			}
		}
	}
	return true
}

// idOf is the same for selectors that take the same series.
func idOf(ms []*labels.Matcher) string {
	all := make([]string, 0, len(ms))
	for _, m := range ms {
		all = append(all, m.String())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// fingerprint numbers the set of series that a selector takes of some blocks.
func (k *stock) fingerprint(blocks []*block, id string, s Selector) (int, error) {
	var name strings.Builder
	for _, b := range blocks {
		if b.call != nil && !touches(s, b.call) {
			continue
		}
		p, err := k.pick(b, id, s)
		if err != nil {
			return 0, err
		}
		if len(p.all) > 0 {
			name.Write(p.sum[:])
		}
	}
	if name.Len() == 0 {
		return nothing, nil
	}
	key := id + "\x00" + name.String()
	n, ok := k.names[key]
	if !ok {
		n = len(k.names) + nothing + 1
		k.names[key] = n
	}
	return n, nil
}

// nothing is the fingerprint of no series.
const nothing = 0
