package telemetry

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/telemetry/source"
)

// scrapes are all scrape configurations that were handed in.
func (a *analysis) scrapes() []source.Scrape {
	var all []source.Scrape
	for _, f := range a.in.Files {
		all = append(all, f.Scrapes...)
	}
	return all
}

// seen says whether some configuration fetches one of the ports of a pod. known is false when nothing that is understood
// does and something is not understood.
func seen(all []source.Scrape, p source.Pod, ports ...int) (yes, known bool) {
	known = true
	for i := range all {
		targets, ok := all[i].Targets(p)
		known = known && ok
		for _, t := range targets {
			if slices.Contains(ports, t.Port) {
				return true, true
			}
		}
	}
	return false, known
}

// unscraped reports waypoints, ztunnel and applications that nobody would scrape: without series every rewrite is in
// vain (observability.md 1.4, 1.5).
func (a *analysis) unscraped() {
	all := a.scrapes()
	if len(all) == 0 {
		if len(a.judged) > 0 {
			a.report.Findings = append(a.report.Findings, api.TelemetryFinding{
				Rule: "T12", Severity: api.Warning, Facts: []string{"1.4"}, Before: a.firstWaypoint(),
				Message: "no scrape configuration was handed in: whether Prometheus fetches anything from waypoints and ztunnel, and from applications that were scraped through their sidecars, is not known",
				Choices: []string{"hand in PodMonitors, ServiceMonitors or prometheus.yml with -f", "look at the targets in Prometheus after the first waypoint is there"},
			})
		}
		return
	}
	var missing, unsure []string
	for _, wp := range a.waypoints() {
		yes, known := seen(all, source.Waypoint(wp.Namespace, wp.Name), 15020, 15090)
		switch {
		case yes:
		case known:
			missing = append(missing, wp.Namespace+"/"+wp.Name)
		default:
			unsure = append(unsure, wp.Namespace+"/"+wp.Name)
		}
	}
	a.notScraped("waypoints", missing, unsure, a.firstWaypoint())
	if a.anyAmbient() {
		missing, unsure = nil, nil
		root := a.in.State.RootNamespace()
		switch yes, known := seen(all, source.Ztunnel(root), 15020); {
		case yes:
		case known:
			missing = []string{root + "/ztunnel"}
		default:
			unsure = []string{root + "/ztunnel"}
		}
		a.notScraped("ztunnel", missing, unsure, a.moveOf("", ""))
	}
	a.merged(all)
}

func (a *analysis) anyAmbient() bool {
	last := a.in.Planes.States[len(a.in.Planes.States)-1]
	return slices.ContainsFunc(last.Modes, func(m []mesh.Mode) bool { return slices.Contains(m, mesh.ModeAmbient) })
}

func (a *analysis) notScraped(what string, missing, unsure []string, before api.TelemetryStep) {
	f := api.TelemetryFinding{Rule: "T12", Before: before, Facts: []string{"1.4"}, Choices: []string{"commit scrape/podmonitor.yaml, which --rewrite writes, or its like"}}
	if len(missing) > 0 {
		f.Severity = api.Blocker
		f.Message = fmt.Sprintf("no scrape configuration that was read fetches the metrics of %s: %s", what, some(missing))
		a.report.Findings = append(a.report.Findings, f)
	}
	if len(unsure) > 0 {
		f.Severity = api.Warning
		f.Message = fmt.Sprintf("whether some scrape configuration fetches the metrics of %s is not known: %s", what, some(unsure))
		a.report.Findings = append(a.report.Findings, f)
	}
	a.needMonitor = a.needMonitor || len(missing)+len(unsure) > 0
}

// some lists the first of many.
func some(all []string) string {
	if len(all) > 8 {
		return strings.Join(all[:7], ", ") + fmt.Sprintf(" and %d more", len(all)-7)
	}
	return strings.Join(all, ", ")
}

// merged reports applications whose metrics the sidecar fetches, and that nobody scrapes without it.
func (a *analysis) merged(all []source.Scrape) {
	workloads := a.in.State.Workloads()
	for i := range workloads {
		w := &workloads[i]
		n, ok := a.world.at[w.Ref()]
		if !ok || a.world.moves(n) == len(a.world.steps) || !slices.Equal(a.in.Planes.States[0].Modes[n], []mesh.Mode{mesh.ModeSidecar}) {
			continue
		}
		port, reads := mergedPort(w.PodAnnotations)
		if !reads {
			continue
		}
		pod := source.Pod{Namespace: w.Namespace, Name: w.Name + "-0", Labels: w.PodLabels, Annotations: w.PodAnnotations, Containers: containersOf(w)}
		yes, known := seen(all, pod, port)
		if !yes {
			served, ok := a.servedByMonitor(all, w, port)
			yes, known = served, known && ok
		}
		f := api.TelemetryFinding{
			Rule: "T11", Severity: api.Blocker, Subject: w.Ref(), Before: a.stepOf(a.world.moves(n)), Facts: []string{"1.5"},
			Choices: []string{fmt.Sprintf("a PodMonitor or ServiceMonitor for port %d of %s, before the step", port, w.Name)},
		}
		if port == 0 {
			f.Message = "prometheus.istio.io/scrape-targets names its metrics, which only a sidecar understands: they vanish with it"
			f.Choices = []string{"PodMonitors for the targets that the annotation names, before the step"}
			a.report.Findings = append(a.report.Findings, f)
			continue
		}
		strict := a.in.State.PeerAuth(w).Mode == mesh.MTLSStrict
		switch {
		case yes && strict:
			f.Severity = api.Warning
			f.Message = fmt.Sprintf("its metrics come through the sidecar today and are fetched from port %d once it is gone: STRICT mutual TLS refuses a Prometheus outside of the mesh there", port)
			f.Choices = []string{"Prometheus into the mesh first", fmt.Sprintf("a PeerAuthentication with portLevelMtls PERMISSIVE for port %d", port)}
		case yes:
			f.Severity = api.Info
			f.Message = fmt.Sprintf("its metrics come through the sidecar today (target :15020) and are fetched from port %d once it is gone: the labels instance and endpoint change", port)
			f.Choices = nil
		case known:
			f.Message = fmt.Sprintf("its metrics come through the sidecar today, and no scrape configuration that was read fetches port %d: they vanish with the sidecar", port)
		default:
			f.Severity = api.Warning
			f.Message = fmt.Sprintf("its metrics come through the sidecar today; whether anybody fetches port %d without it is not known", port)
		}
		a.report.Findings = append(a.report.Findings, f)
	}
}

// mergedPort is the port of an application from which the sidecar fetches metrics. Source: Istio's
// pkg/kube/inject, applyPrometheusMerge.
func mergedPort(annotations map[string]string) (port int, reads bool) {
	if annotations["prometheus.istio.io/merge-metrics"] == "false" {
		return 0, false
	}
	if annotations["prometheus.istio.io/scrape-targets"] != "" {
		return 0, true
	}
	if annotations["prometheus.io/scrape"] != "true" {
		return 0, false
	}
	port = 80
	if p := annotations["prometheus.io/port"]; p != "" {
		if _, err := fmt.Sscanf(p, "%d", &port); err != nil {
			return 0, false
		}
	}
	return port, port != 15020
}

func containersOf(w *api.Workload) []source.Container {
	c := source.Container{Name: "app"}
	for _, name := range w.Containers {
		if name != "istio-proxy" {
			c.Name = name
			break
		}
	}
	for _, p := range w.Ports {
		c.Ports = append(c.Ports, source.Port{Name: p.Name, Number: int(p.Port)})
	}
	return []source.Container{c}
}

// servedByMonitor says that a monitor of Services fetches the port of a workload.
func (a *analysis) servedByMonitor(all []source.Scrape, w *api.Workload, port int) (yes, known bool) {
	known = true
	for _, svc := range a.in.State.ServicesOf(w) {
		var ports []string
		for _, p := range svc.Ports {
			if p.TargetPort == fmt.Sprint(port) || p.TargetPort == "" && int(p.Port) == port || namesPort(w, p.TargetPort, port) {
				ports = append(ports, p.Name, fmt.Sprint(port))
			}
		}
		for i := range all {
			served, ok := all[i].SelectsService(svc.Namespace, svc.Labels, ports)
			known = known && ok
			if served && len(ports) > 0 {
				return true, true
			}
		}
	}
	return false, known
}

func namesPort(w *api.Workload, name string, port int) bool {
	return slices.ContainsFunc(w.Ports, func(p api.ContainerPort) bool { return p.Name == name && int(p.Port) == port })
}
