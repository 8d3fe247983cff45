package planner

import (
	"fmt"
	"math"
	"strconv"

	"k8s.io/apimachinery/pkg/api/resource"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// What a waypoint is sized by. A waypoint takes 0.25 vCPU for 1,000 requests a second
// of 1 KB: Istio's performance figures, taken with Istio 1.24 (facts S-07). Its pods ask
// for at most one CPU each; beyond that more pods share the load better than larger
// ones, and two of them must be able to do the work of three.
const (
	milliCPUPer1000    = 250
	mostMilliCPU       = 1000
	defaultUtilization = 70
	annotationProxyCPU = "sidecar.istio.io/proxyCPU"
)

// waypointSize is what a waypoint asks for, and why.
type waypointSize struct {
	policy api.WaypointPolicy
	why    string
	facts  []string
}

// sizeOf sizes a waypoint by the requests that its Services get, when the call graph
// says how many, else by what the owners of the pods behind it set aside for their
// sidecars. What the MigrationPolicy says is not touched.
func (s *stepper) sizeOf(w api.WaypointRef, services []*api.Decision) waypointSize {
	out := waypointSize{policy: s.policy.Waypoint}
	mine := map[api.Ref]bool{}
	for _, d := range services {
		if d.Waypoint != nil && *d.Waypoint == w {
			mine[d.Subject] = true
		}
	}
	need, why := 0.0, ""
	if rps := s.requestsTo(mine); rps > 0 {
		need = rps / 1000 * milliCPUPer1000
		why = fmt.Sprintf("sized for %.0f requests a second at %dm CPU for 1,000", math.Ceil(rps), milliCPUPer1000)
	} else if cpu, pods := s.sidecarCPU(mine); cpu > 0 {
		need = float64(cpu)
		why = fmt.Sprintf("sized like the sidecars of the %s behind it, whose owners set %dm CPU aside", counted(pods, "pod"), cpu)
	} else {
		out.why = "the chart's requests, for nobody said how many requests it gets (column rps of the call graph)"
		out.facts = []string{"S-03", "S-05"}
		return out
	}
	out.facts = []string{"S-05", "S-07", "S-08"}
	target := defaultUtilization
	if out.policy.TargetCPUPercent > 0 {
		target = out.policy.TargetCPUPercent
	}
	need = need * 100 / float64(target)
	if out.policy.CPURequest == "" {
		// Two pods carry it, in steps of 50m.
		each := min(max(math.Ceil(need/2/50)*50, float64(waypointRequests.MilliCPU)), mostMilliCPU)
		out.policy.CPURequest = strconv.Itoa(int(each)) + "m"
	}
	each := milliOf(out.policy.CPURequest)
	if out.policy.MinReplicas == 0 && each > 0 {
		out.policy.MinReplicas = max(2, int(math.Ceil(need/float64(each))))
	}
	if out.policy.MaxReplicas == 0 {
		out.policy.MaxReplicas = max(5, 2*out.policy.MinReplicas)
	}
	out.why = fmt.Sprintf("%s: at least %d pods of %s", why, max(2, out.policy.MinReplicas), out.policy.CPURequest)
	return out
}

// requestsTo is how many requests a second some Services get, as far as anybody said.
func (s *stepper) requestsTo(services map[api.Ref]bool) float64 {
	sum := 0.0
	for i := range s.edges {
		if services[s.edges[i].To] {
			sum += s.edges[i].Rate
		}
	}
	return sum
}

// sidecarCPU is what the owners of the pods behind some Services set aside for their
// sidecars, where they did not leave it at the default.
func (s *stepper) sidecarCPU(services map[api.Ref]bool) (milli, pods int) {
	seen := map[*api.Workload]bool{}
	for i := range s.st.Services() {
		svc := &s.st.Services()[i]
		if !services[svc.Ref()] {
			continue
		}
		for _, w := range s.st.WorkloadsOf(svc) {
			cpu := milliOf(w.PodAnnotations[annotationProxyCPU])
			if m := s.st.Mode(w); cpu == 0 || seen[w] || m != mesh.ModeSidecar && m != mesh.ModeMixed {
				continue
			}
			seen[w] = true
			milli, pods = milli+cpu*podsOf(w), pods+podsOf(w)
		}
	}
	return milli, pods
}

// milliOf reads a quantity of CPU; 0 for none and for one that is none.
func milliOf(text string) int {
	q, err := resource.ParseQuantity(text)
	if err != nil || q.Sign() < 0 {
		return 0
	}
	return int(q.MilliValue())
}
