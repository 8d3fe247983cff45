package inventory

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Annotations on Services and Namespaces that say what a FeatureNeeds file says:
//
//	ambientplan.dev/needs: "retries,timeouts"
//	ambientplan.dev/waive.<capability>: reason
//	ambientplan.dev/keep-sidecar: reason
//	ambientplan.dev/owner, team, tier, slo, contact, latency-budget
const annotationDomain = "ambientplan.dev/"

// BadAnnotation is the id of the unknown for an annotation of ambientplan that
// says nothing understandable. What it was meant to say is not applied.
const BadAnnotation = "bad-annotation"

// Annotations reads the needs that Services and Namespaces carry as annotations:
// one FeatureNeeds for each annotated object, sorted by object, with File and
// Lines of where it was read. An annotation that cannot be understood (an unknown
// key or capability, a waiver without reason) is an unknown.
func Annotations(inv *api.Inventory) ([]api.FeatureNeeds, []api.Unknown) {
	r := annotationReader{}
	for i := range inv.Namespaces {
		n := &inv.Namespaces[i]
		r.object(n.Ref(), n.Annotations, n.Origin, api.ServiceNeeds{Cluster: n.Cluster, Namespace: n.Name})
	}
	for i := range inv.Services {
		s := &inv.Services[i]
		r.object(s.Ref(), s.Annotations, s.Origin, api.ServiceNeeds{Cluster: s.Cluster, Namespace: s.Namespace, Service: s.Name})
	}
	return r.needs, sortUnknowns(r.unknowns)
}

type annotationReader struct {
	needs    []api.FeatureNeeds
	unknowns []api.Unknown
}

// object reads the annotations of one object into n.
func (r *annotationReader) object(ref api.Ref, annotations map[string]string, at api.Origin, n api.ServiceNeeds) {
	lines := map[string]int{}
	found := false
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		word, ok := strings.CutPrefix(key, annotationDomain)
		if !ok {
			continue
		}
		value := strings.TrimSpace(annotations[key])
		path := api.FieldPath("metadata.annotations", key)
		bad := func(format string, args ...any) {
			r.unknowns = append(r.unknowns, api.Unknown{
				ID: BadAnnotation, Subject: ref,
				What:     fmt.Sprintf("annotation %s of %s: %s", key, ref, fmt.Sprintf(format, args...)),
				Could:    "a wish of the owners that the plan does not respect",
				Action:   "correct the annotation",
				Evidence: []api.Evidence{{Object: ref, Path: path, Value: shortened(value), Source: at.At(path)}},
			})
		}
		line := at.Fields[path]
		field, ok := readAnnotation(&n, word, value, bad)
		if !ok {
			continue
		}
		found = true
		if line > 0 {
			lines[field] = line
		}
	}
	if !found {
		return
	}
	r.needs = append(r.needs, api.FeatureNeeds{
		TypeMeta: api.TypeMeta{APIVersion: api.APIVersion, Kind: api.KindFeatureNeeds},
		Metadata: api.Metadata{Name: ref.String()},
		Services: []api.ServiceNeeds{n},
		File:     at.File, Lines: lines,
	})
}

// readAnnotation applies one annotation and returns the field path of the needs
// that it set.
func readAnnotation(n *api.ServiceNeeds, word, value string, bad func(string, ...any)) (string, bool) {
	if c, ok := strings.CutPrefix(word, "waive."); ok {
		switch {
		case api.Capability(c).Tier() == api.TierUnknown:
			bad("%q is not a capability", c)
			return "", false
		case value == "":
			bad("a waiver needs a reason")
			return "", false
		}
		n.Waive = append(n.Waive, api.Waiver{Capability: api.Capability(c), Reason: value})
		return fmt.Sprintf("services[0].waive[%d]", len(n.Waive)-1), true
	}
	if word == "needs" {
		return readWanted(n, value, bad)
	}
	if value == "" {
		bad("it is empty")
		return "", false
	}
	switch word {
	case "keep-sidecar":
		n.KeepSidecar = &api.KeepSidecar{Reason: value}
		return "services[0].keepSidecar", true
	case "owner":
		n.Owner = value
	case "team":
		n.Team = value
	case "tier":
		n.Tier = value
	case "slo":
		n.SLO = value
	case "contact":
		n.Contact = value
	case "latency-budget":
		if d, err := time.ParseDuration(value); err != nil || d < 0 {
			bad("%q is not a duration like \"2ms\"", value)
			return "", false
		}
		n.LatencyBudget = value
		return "services[0].latencyBudget", true
	default:
		bad("this version knows no such annotation")
		return "", false
	}
	return "services[0]." + word, true
}

// readWanted reads a list of capabilities, separated by commas.
func readWanted(n *api.ServiceNeeds, value string, bad func(string, ...any)) (string, bool) {
	for _, w := range strings.Split(value, ",") {
		c := api.Capability(strings.TrimSpace(w))
		if c.Tier() == api.TierUnknown {
			bad("%q is not a capability", string(c))
			continue
		}
		n.Capabilities = append(n.Capabilities, api.WantedCapability{Capability: c})
	}
	return "services[0].capabilities", len(n.Capabilities) > 0
}

// shortened keeps evidence readable.
func shortened(s string) string {
	if r := []rune(s); len(r) > 80 {
		return string(r[:80]) + "..."
	}
	return s
}
