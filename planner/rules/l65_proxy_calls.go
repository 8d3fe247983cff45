package rules

import (
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var l65 = Rule{
	ID: "L65", Title: "The application calls its sidecar",
	Doc: Doc{
		Why: "Hooks, probes and start scripts call the sidecar on localhost:15000, 15020 or 15021: to wait until it is ready, or to end it with /quitquitquit. In ambient mode nothing " +
			"listens there.",
		Effect:  "the call is refused: a script that waits for the proxy never starts the application, a probe never succeeds, a Job that ends its sidecar may fail with the exit code of curl",
		Remedy:  "take the call out, or let it succeed when nothing listens, before the cutover; none of them is needed in ambient mode",
		Sources: []string{"istio.io: Ports used by Istio", "istio/istio pilot/cmd/pilot-agent/status/server.go"},
		Facts:   []string{"L-65", "E-26"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindNamespace, mesh.KindWorkload},
	Check: checkL65,
}

func checkL65(p *Pass) {
	st := p.Mesh()
	ws := st.Workloads()
	for i := range ws {
		w := &ws[i]
		if len(w.ProxyCalls) == 0 || !st.InMesh(w) {
			continue
		}
		var ev []api.Evidence
		probe, start := false, false
		for _, c := range w.ProxyCalls {
			ev = append(ev, Field(w.Ref(), c, ""))
			probe = probe || strings.Contains(c, "Probe")
			start = start || strings.HasSuffix(c, ".command") && !strings.Contains(c, ".exec.") || strings.HasSuffix(c, ".args")
		}
		message := fmt.Sprintf("%s calls its sidecar on localhost", w.Ref())
		switch {
		case probe:
			p.ReportWith(api.Warning, w.Ref(), message+" in a probe", "the probe is refused, so the new pods never become ready and the rollout stands still with the old ones",
				"probe the application instead, before the cutover", ev...)
		case start && w.Kind != "Job" && w.Kind != "CronJob":
			p.ReportWith(api.Warning, w.Ref(), message+" when it starts", "a script that waits for the proxy waits for ever: the new pods never become ready and the rollout stands still with the old ones",
				"take the wait out before the cutover; istio-cni holds a pod back until ztunnel is ready", ev...)
		default:
			p.Report(api.Warning, w.Ref(), message, ev...)
		}
	}
}
