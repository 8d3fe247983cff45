package mesh

import (
	"net/netip"
	"slices"
	"strings"
)

// patterns are the texts that values of one attribute are compared with.
type patterns struct {
	exact, prefixes, suffixes []string
}

func (p *patterns) add(m *valueMatcher) {
	switch m.op {
	case opExact, opFoldExact, opAudience:
		p.exact = append(p.exact, m.text)
	case opPrefix, opFoldPrefix:
		p.prefixes = append(p.prefixes, m.text)
	case opSuffix, opFoldSuffix:
		p.suffixes = append(p.suffixes, m.text)
	default:
	}
}

// candidates gives texts of which at least one stands for each set of patterns
// that some text matches. A text that no exact pattern names matches the prefixes
// of its longest prefix pattern and the suffixes of its longest suffix pattern, so
// one text "prefix, something, suffix" for each pair is enough, when that
// something continues no pattern. nice texts are tried as that something first.
// The second result is false when there is no such something, which takes patterns
// that use up all letters.
func (p patterns) candidates(first string, nice ...string) ([]string, bool) {
	out := slices.Clone(nice)
	out = append(out, p.exact...)
	for _, pre := range unique(append([]string{first}, p.prefixes...)) {
		for _, suf := range unique(append([]string{""}, p.suffixes...)) {
			v, ok := p.between(pre, suf)
			if !ok {
				return nil, false
			}
			out = append(out, v)
		}
	}
	return out, true
}

// filler are letters that a text may go on with.
const filler = "xyzqwvkjbhgfpudlmcrsnotiea0123456789-_.~"

// between finds a text that begins with pre, ends with suf, and matches no pattern
// because of what is between.
func (p patterns) between(pre, suf string) (string, bool) {
	var after, before string
	for _, c := range filler {
		if !slices.ContainsFunc(p.prefixes, func(q string) bool { return strings.HasPrefix(q, pre+string(c)) }) {
			after = string(c)
			break
		}
	}
	for _, c := range filler {
		if !slices.ContainsFunc(p.suffixes, func(q string) bool { return strings.HasSuffix(q, string(c)+suf) }) {
			before = string(c)
			break
		}
	}
	if after == "" || before == "" {
		return "", false
	}
	v := pre + after + before + suf
	for slices.Contains(p.exact, v) {
		after += after[:1]
		v = pre + after + before + suf
	}
	return v, true
}

// unique keeps the first of equal texts.
func unique(in []string) []string {
	var out []string
	for _, s := range in {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// addresses gives addresses of which at least one is in each set of blocks that
// some address is in: membership changes only where a block begins or has ended.
func addresses(blocks []netip.Prefix) []netip.Addr {
	starts := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	for _, b := range blocks {
		b = b.Masked()
		starts = append(starts, b.Addr())
		if next := lastOf(b).Next(); next.IsValid() {
			starts = append(starts, next)
		}
	}
	// Addresses for documentation read best where they stand for the same.
	out := []netip.Addr{netip.AddrFrom4([4]byte{198, 51, 100, 7}), netip.MustParseAddr("2001:db8::7")}
	slices.SortFunc(starts, netip.Addr.Compare)
	starts = slices.Compact(starts)
	for _, a := range starts {
		if next := a.Next(); next.IsValid() && !slices.Contains(starts, next) {
			a = next // The first address of a block is that of a network; the second may be a host's.
		}
		out = append(out, a)
	}
	return out
}

// lastOf is the last address of a block.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
