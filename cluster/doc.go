// Package cluster reads a running cluster: kind by kind, page by page, and only by
// list requests. It knows nothing of inventories and plans, writes nothing, and never
// asks for a Secret.
package cluster
