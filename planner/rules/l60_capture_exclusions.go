package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l60 = Rule{
	ID: "L60", Title: "Ports and addresses that the sidecar does not capture",
	Doc: Doc{
		Why: "traffic.sidecar.istio.io annotations keep ports, address ranges or interfaces of a pod out of its sidecar. Ambient mode has no such choice: ztunnel captures " +
			"all TCP traffic of a pod or none.",
		Effect: "traffic that went past the proxy goes through ztunnel: incoming plaintext to an excluded port is refused under STRICT mTLS, and what the pod sends there gets the " +
			"mesh's treatment",
		Remedy: "find out who uses these ports or addresses. Keep the sidecar; or take the pod out of the mesh with istio.io/dataplane-mode=none; or, when only incoming ports for " +
			"clients outside of the mesh are meant, set port-level PERMISSIVE in a PeerAuthentication and remove the annotation",
		Sources: []string{"istio.io: Resource annotations", "istio/istio issue 49829", "istio/istio cni/pkg/iptables/iptables.go"},
		Facts:   []string{"L-60", "B-12"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindService, mesh.KindWorkload},
	Check: checkL60,
}

const (
	trafficPrefix     = "traffic.sidecar.istio.io/"
	interceptionMode  = "sidecar.istio.io/interceptionMode"
	kubevirtInterface = "traffic.sidecar.istio.io/kubevirtInterfaces"
)

func checkL60(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		keys := annotationKeys(w, func(k string) bool {
			return strings.HasPrefix(k, trafficPrefix) && k != kubevirtInterface && excludes(strings.TrimPrefix(k, trafficPrefix), w.PodAnnotations[k])
		})
		if w.PodAnnotations[interceptionMode] == "NONE" {
			keys = append(keys, interceptionMode)
		}
		if len(keys) == 0 || !st.InMesh(w) {
			continue
		}
		for _, k := range keys {
			needOf(p, w, api.CapCaptureExclusion, exclusionReason(p.Mesh(), w, k), podAnnotation(w, k))
		}
	}
}

// excludes tells whether an annotation takes anything out of the capture; the
// values that say "all", or nothing at all, do not.
func excludes(name, value string) bool {
	value = strings.TrimSpace(value)
	switch name {
	case "includeInboundPorts", "includeOutboundIPRanges":
		return value != "*" // Empty means that nothing is captured.
	}
	return value != ""
}

// exclusionReason says what is kept out, and whether the excluded ports are
// ports that the pod is known to serve.
func exclusionReason(st *mesh.State, w *api.Workload, key string) string {
	value := w.PodAnnotations[key]
	reason := fmt.Sprintf("%s=%q keeps traffic out of the sidecar, and ztunnel captures all or nothing", key, value)
	if key != trafficPrefix+"excludeInboundPorts" {
		return reason
	}
	served := map[string]bool{}
	for _, c := range w.Ports {
		served[fmt.Sprint(c.Port)] = true
	}
	for _, s := range st.ServicesOf(w) {
		for _, sp := range s.Ports {
			if sp.TargetPort == "" {
				served[fmt.Sprint(sp.Port)] = true
			} else {
				served[sp.TargetPort] = true
			}
		}
	}
	var used []string
	for _, port := range strings.Split(value, ",") {
		if port = strings.TrimSpace(port); served[port] {
			used = append(used, port)
		}
	}
	if len(used) == 0 {
		return reason + "; no container port or Service declares these ports, so ask the owner whether anybody still uses them"
	}
	return reason + "; the pod serves " + listed(used)
}
