package main

import (
	"errors"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// known indexes the names that a FeatureNeeds document may use.
type known struct {
	namespaces, services, workloads, accounts map[string]bool
	unreadable                                int
}

func knownNames(inv *api.Inventory) known {
	k := known{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, inv.Documents.Unreadable}
	for _, n := range inv.Namespaces {
		k.namespaces[n.Name] = true
	}
	for _, s := range inv.Services {
		k.services[s.Namespace+"/"+s.Name] = true
	}
	for _, w := range inv.Workloads {
		k.workloads[w.Namespace+"/"+w.Name] = true
		k.accounts[w.Namespace+"/"+w.ServiceAccount] = true
	}
	return k
}

// checkSubjects refuses needs of things that the inventory does not hold: a
// mistyped name would otherwise lose a need, and a keepSidecar, without a word.
func checkSubjects(inv *api.Inventory, needs []api.FeatureNeeds) error {
	k := knownNames(inv)
	var errs []error
	for i := range needs {
		errs = append(errs, k.entries(&needs[i])...)
		errs = append(errs, k.edges(&needs[i])...)
	}
	if len(errs) > 0 && k.unreadable > 0 {
		errs = append(errs, fmt.Errorf("%d documents of the inventory could not be read; what they hold cannot be named", k.unreadable))
	}
	if len(errs) == 0 {
		return nil
	}
	return &exitError{exitUsage, errors.Join(errs...)}
}

// entries checks the entries of one document.
func (k known) entries(n *api.FeatureNeeds) []error {
	var errs []error
	for i, e := range n.Services {
		at := func(field string) string { return position(n, fmt.Sprintf("services[%d].%s", i, field)) }
		switch {
		case !k.namespaces[e.Namespace]:
			errs = append(errs, fmt.Errorf("%s: no namespace %q in the inventory", at("namespace"), e.Namespace))
		case e.Service != "" && !k.services[e.Namespace+"/"+e.Service]:
			errs = append(errs, fmt.Errorf("%s: no Service %q in namespace %q of the inventory", at("service"), e.Service, e.Namespace))
		case e.Workload != "" && !k.workloads[e.Namespace+"/"+e.Workload]:
			errs = append(errs, fmt.Errorf("%s: no workload %q in namespace %q of the inventory", at("workload"), e.Workload, e.Namespace))
		}
	}
	return errs
}

// edges checks both ends of the calls of one document. A target with a dot is a
// host outside of the cluster, which a ServiceEntry may name.
func (k known) edges(n *api.FeatureNeeds) []error {
	var errs []error
	for i, e := range n.Edges {
		at := func(field string) string { return position(n, fmt.Sprintf("edges[%d].%s", i, field)) }
		from := e.FromNamespace + "/" + e.From
		switch {
		case !k.namespaces[e.FromNamespace]:
			errs = append(errs, fmt.Errorf("%s: no namespace %q in the inventory", at("fromNamespace"), e.FromNamespace))
		case e.From != "" && !k.workloads[from] && !k.services[from] && !k.accounts[from]:
			errs = append(errs, fmt.Errorf("%s: no workload or service account %q in namespace %q of the inventory", at("from"), e.From, e.FromNamespace))
		case strings.Contains(e.To, "."):
		case !k.services[e.ToNamespace+"/"+e.To]:
			errs = append(errs, fmt.Errorf("%s: no Service %q in namespace %q of the inventory", at("to"), e.To, e.ToNamespace))
		}
	}
	return errs
}

// position is "file:line" of a field of a document.
func position(n *api.FeatureNeeds, path string) string {
	return api.Origin{File: n.File, Fields: n.Lines}.At(path)
}
