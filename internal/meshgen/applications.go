package meshgen

import (
	"maps"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// trackingID is Argo CD's annotation.
const trackingID = "argocd.argoproj.io/tracking-id"

// tiers is how many layers the call graph has.
const tiers = 5

func teams() []string {
	return []string{"payments", "catalog", "checkout", "identity", "search", "shipping", "billing", "media"}
}

func serviceWords() []string {
	return []string{"api", "web", "orders", "cart", "users", "quotes", "mailer", "ratings", "stock", "session"}
}

func storeWords() []string { return []string{"redis", "mysql", "mongo", "kafka"} }

// namespaces adds those of applications. Every tenth is outside of the mesh, every seventh is injected by
// revision, every eighth belongs to Argo CD.
func (g *generator) namespaces() {
	for i := range g.p.Namespaces {
		team := teams()[i%len(teams())]
		s := &space{name: numbered(team, i), tier: i * tiers / g.p.Namespaces, inMesh: i%10 != 9}
		labels := map[string]string{"kubernetes.io/metadata.name": s.name, "team": team}
		switch {
		case !s.inMesh:
		case i%7 == 6:
			labels["istio.io/rev"] = "default"
		default:
			labels["istio-injection"] = "enabled"
		}
		if i%8 == 7 {
			s.owner = &api.Owner{By: "argocd", Name: s.name, Evidence: "annotation " + trackingID}
		}
		g.spaces = append(g.spaces, s)
		g.inv.Namespaces = append(g.inv.Namespaces, api.Namespace{Name: s.name, Labels: labels})
	}
}

// services adds Services and their workloads: the first ones to one namespace each, the rest more to some
// namespaces than to others, as in real clusters.
func (g *generator) services() {
	if len(g.spaces) == 0 {
		return
	}
	for i := range g.p.Services {
		s := g.spaces[i%len(g.spaces)]
		if i >= len(g.spaces) {
			s = g.spaces[min(g.r.IntN(len(g.spaces)), g.r.IntN(len(g.spaces)))]
		}
		a := &app{space: s, port: 8080, protocol: "HTTP"}
		switch n := g.r.IntN(100); {
		case n < 10:
			g.store(a, i)
		case n < 15:
			a.name = numbered("agent", i)
			a.account = a.name
			g.add(a, "DaemonSet", a.name, nil)
		default:
			g.deployment(a, i)
		}
		s.apps = append(s.apps, a)
		g.apps = append(g.apps, a)
		if s.inMesh {
			g.inMesh = append(g.inMesh, a)
		}
		port := api.ServicePort{Name: portName(a.protocol), Port: a.port, TargetPort: portText(a.port), Transport: "TCP", Protocol: a.protocol}
		g.inv.Services = append(g.inv.Services, api.Service{
			Namespace: s.name, Name: a.name, Type: "ClusterIP", Headless: a.headless(), Owner: s.owner,
			Labels: map[string]string{"app": a.name}, Selector: map[string]string{"app": a.name}, Ports: []api.ServicePort{port},
		})
	}
}

func (a *app) headless() bool { return len(a.workloads) > 0 && a.workloads[0].Kind == "StatefulSet" }

// portName is what makes Istio take a port for the protocol; "main" declares nothing.
func portName(protocol string) string {
	switch protocol {
	case "HTTP":
		return "http"
	case "GRPC":
		return "grpc-api"
	case "TCP":
		return "tcp-data"
	}
	return "main"
}

// store makes the app a StatefulSet that speaks a protocol of its own.
func (g *generator) store(a *app, i int) {
	a.name = numbered(pick(g, storeWords()), i)
	a.account, a.protocol, a.port = a.name, "TCP", 6379
	g.add(a, "StatefulSet", a.name, nil)
}

// deployment makes the app a Deployment, or one for each of two versions.
func (g *generator) deployment(a *app, i int) {
	a.name = numbered(pick(g, serviceWords()), i)
	a.account = a.name
	if g.chance(15) {
		a.account = "default"
	}
	switch n := g.r.IntN(100); {
	case n < 15:
		a.protocol, a.port = "GRPC", 9090
	case n < 20:
		a.protocol = ""
	}
	if !g.chance(8) {
		g.add(a, "Deployment", a.name, nil)
		return
	}
	a.versions = []string{"v1", "v2"}
	for _, v := range a.versions {
		g.add(a, "Deployment", a.name+"-"+v, map[string]string{"version": v})
	}
}

// add adds a workload of an app; its pods come later.
func (g *generator) add(a *app, kind, name string, labels map[string]string) {
	w := api.Workload{
		Group: "apps", Kind: kind, Namespace: a.space.name, Name: name, APIVersion: "apps/v1", ServiceAccount: a.account,
		Labels: map[string]string{"app": a.name}, PodLabels: map[string]string{"app": a.name}, Owner: a.space.owner,
		Ports: []api.ContainerPort{{Name: "main", Port: a.port, Protocol: "TCP"}}, Containers: []string{"app"},
	}
	maps.Copy(w.PodLabels, labels)
	if a.space.inMesh && g.chance(2) {
		w.PodLabels["sidecar.istio.io/inject"] = "false"
	}
	a.workloads = append(a.workloads, w.Ref())
	g.inv.Workloads = append(g.inv.Workloads, w)
}

// batch adds a CronJob to every third namespace and a worker behind no service to every fourth.
func (g *generator) batch() {
	for i, s := range g.spaces {
		if i%3 == 0 {
			g.inv.Workloads = append(g.inv.Workloads, api.Workload{
				Group: "batch", Kind: "CronJob", Namespace: s.name, Name: "report", APIVersion: "batch/v1", ServiceAccount: "report",
				PodLabels: map[string]string{"app": "report"}, Containers: []string{"app"}, Owner: s.owner,
			})
		}
		if i%4 == 0 {
			worker := &app{space: s, name: "worker", account: "worker", port: 8080}
			g.add(worker, "Deployment", "worker", nil)
		}
	}
}

// pods hands out the pods that the platform leaves over: one to each workload, the rest by weight.
func (g *generator) pods() {
	inMesh := map[string]bool{}
	for _, s := range g.spaces {
		inMesh[s.name] = s.inMesh
	}
	rest := g.p.Pods
	var open []int
	var weights []int
	total := 0
	for i := range g.inv.Workloads {
		w := &g.inv.Workloads[i]
		switch {
		case w.Pods.Observed:
			rest -= w.Pods.Total
		case w.Kind == "CronJob":
			w.Pods = api.PodCounts{Observed: true, Total: 1, Done: 1}
			rest--
		default:
			weight := 1 + g.r.IntN(10)
			open, weights, total = append(open, i), append(weights, weight), total+weight
		}
	}
	rest = max(rest-len(open), 0)
	given := 0
	for n, i := range open {
		w := &g.inv.Workloads[i]
		pods := rest * weights[n] / total
		given += pods
		if n == len(open)-1 {
			pods += rest - given
		}
		g.observe(w, 1+pods, inMesh[w.Namespace])
	}
}

// observe writes what is in the pods of a workload. In one of fifty some were started before the namespace
// was labelled.
func (g *generator) observe(w *api.Workload, pods int, inMesh bool) {
	if w.Kind != "DaemonSet" {
		n := int32(pods)
		w.Replicas = &n
	}
	w.Pods = api.PodCounts{Observed: true, Total: pods}
	sidecars := 0
	if inMesh && w.PodLabels["sidecar.istio.io/inject"] != "false" {
		sidecars = pods
		if g.chance(2) {
			sidecars = pods / 2
		}
	}
	w.Pods.Sidecar, w.Pods.NativeSidecar, w.Pods.HBONE = sidecars, sidecars, sidecars
	w.Pods.Uncaptured = pods - sidecars
	w.Pods.Proxies = proxies(w.Name, sidecars)
}

// autoscaling adds a HorizontalPodAutoscaler to every fifth Deployment of an app and a PodDisruptionBudget to every third.
func (g *generator) autoscaling() {
	for i, a := range g.apps {
		w := a.workloads[0]
		if i%5 == 0 && w.Kind == "Deployment" {
			g.object("autoscaling/v2", "HorizontalPodAutoscaler", a.space.name, w.Name, a.space.owner, object{
				"maxReplicas": int64(50), "minReplicas": int64(2),
				"scaleTargetRef": object{"apiVersion": "apps/v1", "kind": "Deployment", "name": w.Name},
				"metrics":        list{object{"type": "Resource", "resource": object{"name": "cpu", "target": object{"type": "Utilization", "averageUtilization": int64(70)}}}},
			})
		}
		if i%3 == 0 {
			g.object("policy/v1", "PodDisruptionBudget", a.space.name, a.name, a.space.owner, object{
				"maxUnavailable": int64(1), "selector": object{"matchLabels": a.labels()},
			})
		}
	}
}
