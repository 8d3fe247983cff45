// Package proof evaluates every state that a plan passes through against the
// state of today: who may do what, which connections are encrypted, and who
// applies routes. It takes a plan as it stands, so a plan that was edited by hand
// is judged by what it says and not by what made it.
//
// A state of a plan is not only the end of a step. Inside a step its changes take
// hold in any order, workloads have pods of two kinds, and a pod that is recreated
// comes up as the labels of that moment say. All of these are evaluated.
//
// The proof holds for what package mesh models. What it relies on besides is
// written into Result.Assumptions and is for a person to check.
package proof
