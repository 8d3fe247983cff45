package v1alpha1

import (
	"cmp"
	"maps"
	"slices"
)

// Fate is what a plan makes of an object of the mesh. The zero value is unset and
// appears in no plan.
type Fate string

// Fates.
const (
	FateUnset Fate = ""
	// FateConverted: other objects say the same to ambient mode.
	FateConverted Fate = "Converted"
	// FateKept: it stays as it is and is still read.
	FateKept Fate = "Kept"
	// FateDropped: nothing reads it any more, or nothing ever did, and nothing is lost
	// but what Why and Findings say.
	FateDropped Fate = "Dropped"
	// FateBlocked: a person must decide first.
	FateBlocked Fate = "Blocked"
)

// Disposition says of one object of the mesh, or of one part of it, what the plan
// makes of it and why that is right.
type Disposition struct {
	Object Ref `json:"object"`
	// Part is what of the object is meant: "subset v1". Empty means the object.
	Part string `json:"part,omitempty"`
	Fate Fate   `json:"fate"`
	Why  string `json:"why"`
	// Facts are their ids.
	Facts []string `json:"facts,omitempty"`
	// Into are the objects that say the same to ambient mode, or stand beside it.
	Into []Ref `json:"into,omitempty"`
	// Proof says how it is known that they say the same.
	Proof string `json:"proof,omitempty"`
	// Findings are the ids of findings and unknowns about the object. Of a blocked one
	// they say what a person must decide.
	Findings []string `json:"findings,omitempty"`
	// Wave and Step are where the object is changed last; empty when it is not.
	Wave int    `json:"wave,omitempty"`
	Step string `json:"step,omitempty"`
	// Source is where the object stands, as "file:line".
	Source string `json:"source,omitempty"`
}

// Compare orders dispositions by object and part.
func (d Disposition) Compare(o Disposition) int {
	return cmp.Or(d.Object.Compare(o.Object), cmp.Compare(d.Part, o.Part))
}

// CountFates lists how many objects of each kind have each fate, by kind.
func CountFates(list []Disposition) []FateCount {
	byKind := map[string]*FateCount{}
	for _, x := range list {
		kind := x.Object.Kind
		if x.Part != "" {
			kind += " subset"
		}
		c := byKind[kind]
		if c == nil {
			c = &FateCount{Kind: kind}
			byKind[kind] = c
		}
		switch x.Fate {
		case FateConverted:
			c.Converted++
		case FateKept:
			c.Kept++
		case FateDropped:
			c.Dropped++
		case FateBlocked, FateUnset:
			c.Blocked++
		}
	}
	out := []FateCount{}
	for _, k := range slices.Sorted(maps.Keys(byKind)) {
		out = append(out, *byKind[k])
	}
	return out
}

// FateCount counts the fates of the objects of one kind.
type FateCount struct {
	Kind                              string
	Converted, Kept, Dropped, Blocked int
}
