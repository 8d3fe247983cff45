package planner

import (
	"cmp"
	"strconv"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// entryOf is a value with the place in a document that it was read from.
type entryOf[T any] struct {
	value    T
	evidence api.Evidence
}

// entry is one ServiceNeeds with the document it stands in.
type entry struct {
	needs *api.ServiceNeeds
	doc   *api.FeatureNeeds
	path  string
}

// evidence cites a field of the entry.
func (e entry) evidence(field, value string) api.Evidence {
	path := e.path + "." + field
	o := api.Origin{File: e.doc.File, Fields: e.doc.Lines}
	return api.Evidence{
		Object: api.Ref{Kind: api.KindFeatureNeeds, Name: cmp.Or(e.doc.Metadata.Name, e.doc.File, "annotations")},
		Path:   path, Value: value, Source: o.At(path),
	}
}

// ownerKey finds entries: namespace, and service or workload or neither.
type ownerKey struct{ cluster, namespace, service, workload string }

// owners indexes what owners declared.
type owners map[ownerKey][]entry

func ownersOf(docs []api.FeatureNeeds) owners {
	o := owners{}
	for i := range docs {
		for j := range docs[i].Services {
			n := &docs[i].Services[j]
			k := ownerKey{n.Cluster, n.Namespace, n.Service, n.Workload}
			o[k] = append(o[k], entry{n, &docs[i], indexed("services", j)})
		}
	}
	return o
}

// entries that hold for a service or workload: its own and those of its
// namespace, with and without the cluster named.
func (o owners) entries(cluster, namespace, service, workload string) []entry {
	var out []entry
	clusters := []string{""}
	if cluster != "" {
		clusters = append(clusters, cluster)
	}
	for _, c := range clusters {
		out = append(out, o[ownerKey{c, namespace, "", ""}]...)
		if service != "" || workload != "" {
			out = append(out, o[ownerKey{c, namespace, service, workload}]...)
		}
	}
	return out
}

// of merges who owns a service: the most specific entry that says something wins.
func (o owners) of(cluster, namespace, service, workload string) api.ServiceNeeds {
	var out api.ServiceNeeds
	for _, e := range o.entries(cluster, namespace, service, workload) {
		out.Owner = cmp.Or(e.needs.Owner, out.Owner)
		out.Team = cmp.Or(e.needs.Team, out.Team)
		out.Tier = cmp.Or(e.needs.Tier, out.Tier)
		out.Contact = cmp.Or(e.needs.Contact, out.Contact)
	}
	return out
}

// ownersFromLabels reads owner, team and tier from the labels that the policy
// names, on the workload and then on the namespace.
func (d *decider) ownersFromLabels(dec *api.Decision) {
	if d.policy == nil {
		return
	}
	names := d.policy.Labels
	look := func(key string) string {
		if key == "" {
			return ""
		}
		for _, w := range d.st.WorkloadsIn(dec.Namespace) {
			for _, ref := range dec.Workloads {
				if w.Ref() == ref && w.Labels[key] != "" {
					return w.Labels[key]
				}
			}
		}
		if ns := d.st.Namespace(dec.Namespace); ns != nil {
			return cmp.Or(ns.Labels[key], ns.Annotations[key])
		}
		return ""
	}
	dec.Owner = cmp.Or(dec.Owner, look(names.Owner))
	dec.Team = cmp.Or(dec.Team, look(names.Team))
	dec.Tier = cmp.Or(dec.Tier, look(names.Tier))
}

// indexed is "list[i]".
func indexed(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
