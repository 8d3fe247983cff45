// Package assess answers the question that comes before a migration: is a mesh worth it
// here, and is ambient mode? Five questions are answered from what was read where that is
// possible and from an Assessment where only people know; the verdict follows from the
// answers by rules that are written down in decide, and it is never given without them.
// What nobody answered is tried both ways: where that changes the verdict, the verdict is
// that it depends.
package assess
