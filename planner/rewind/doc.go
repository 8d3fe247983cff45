// Package rewind takes the finished steps of a plan out of a fresh inventory: what is
// left is the mesh as it would be had the migration not begun, with everything that
// others have changed since the plan was made. A plan made of it goes on where the
// earlier one stands, and what differs from the inventory of the earlier plan is drift.
//
// It is a pure function of documents. What cannot be told is an unknown of the
// rewound inventory, never assumed to be as it was.
package rewind
