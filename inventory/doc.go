// Package inventory reads what is in a mesh into an api.Inventory: from
// manifests, directories, kustomizations, the output of kubectl, and call
// graphs. It has no opinions about migration.
//
// What cannot be read is an unknown in the inventory, with file and line, and
// the rest is still read. No Secret, no ConfigMap but Istio's mesh configuration,
// and no environment value is ever kept.
package inventory
