// Package render turns a MigrationPlan into files and text: the kustomize tree
// that a GitOps repository takes, checklists, a table for terminals and
// explanations. It prints what the plan says and decides nothing; the same plan
// gives the same bytes.
package render
