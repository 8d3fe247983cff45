package rules

import (
	"fmt"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

var p01 = Rule{
	ID: "P01", Title: "The version of Istio",
	Doc: Doc{
		Why: "Ambient mode is generally available since Istio 1.24, and what this tool knows of policies, waypoints and mixed operation was read from 1.29, 1.30 and 1.31. Earlier " +
			"versions enforce some of it differently, and silently.",
		Effect:  "steps of this plan that are proved for 1.29 to 1.31 may open or deny traffic on another version",
		Remedy:  "upgrade istiod, and with it the gateways and sidecars, to 1.29, 1.30 or 1.31 before wave 0; use one minor version for istiod, istio-cni and ztunnel",
		Sources: []string{"istio.io: Supported releases", "istio/istio istioctl/pkg/install/k8sversion", "istio.io: Migrate from sidecar to ambient, before you begin"},
		Facts:   []string{"P-01"}, Since: "0.1.0",
	},
	Reads: []mesh.Kind{mesh.KindCluster, mesh.KindNamespace, mesh.KindWorkload},
	Check: checkP01,
}

func checkP01(p *Pass) {
	st := p.Mesh()
	cps := istiods(st)
	if len(cps) == 0 {
		if ev, ok := someMember(st); ok {
			p.Unknown(api.Ref{Kind: "Cluster", Name: "cluster"}, "the version of Istio and what of ambient mode is installed: no istiod was read",
				"a version before 1.29 enforces some of the plan's steps differently; the plan assumes 1.29 to 1.31, and wave 0 lists what has to be installed",
				"take the inventory from the cluster, or add the manifests of istio-system", ev)
		}
		return
	}
	checkKubernetes(p)
	lines := map[string]bool{}
	for _, cp := range cps {
		ev := Field(cp.Ref, "spec.template.spec.containers", cp.Version)
		v, ok := parseVersion(cp.Version)
		if !ok {
			p.Unknown(cp.Ref, fmt.Sprintf("the version of %s: its image says %q", cp.Ref, cp.Version),
				"a version before 1.29 enforces some of the plan's steps differently", "find it with istioctl version; consent by id when it is 1.29, 1.30 or 1.31", ev)
			continue
		}
		lines[v.line()] = true
		switch {
		case v.less(version{1, 24, 0}):
			p.Report(api.Blocker, cp.Ref, fmt.Sprintf("%s runs Istio %s, before ambient mode was generally available", cp.Ref, v), ev)
		case v.less(version{1, 29, 0}):
			p.Report(api.Blocker, cp.Ref, fmt.Sprintf("%s runs Istio %s, and this plan rests on 1.29 to 1.31", cp.Ref, v), ev)
		case !v.less(version{1, 32, 0}):
			p.Unknown(cp.Ref, fmt.Sprintf("what changed between Istio 1.31 and %s, which %s runs", v, cp.Ref),
				"newer behaviour may make steps of this plan needless or wrong", "read the upgrade notes of the versions between, or use a later ambientplan", ev)
		}
	}
	if len(lines) > 1 {
		var ev []api.Evidence
		for _, cp := range cps {
			ev = append(ev, Field(cp.Ref, "spec.template.spec.containers", cp.Version))
		}
		p.ReportWith(api.Warning, api.Ref{Kind: "Cluster", Name: "cluster"}, "istiods of several minor versions run",
			"ambient pods and waypoints are served by one of them, and what they enforce depends on which", "finish the upgrade before wave 0", ev...)
	}
}

// checkKubernetes compares Kubernetes with the oldest version that istioctl of
// the running Istio accepts.
func checkKubernetes(p *Pass) {
	for _, c := range p.Mesh().Clusters() {
		kubernetes, known := parseVersion(c.KubernetesVersion)
		for _, cp := range c.Istiods {
			istio, ok := parseVersion(cp.Version)
			oldest := version{1, 32, 0}
			if ok && istio.less(version{1, 30, 0}) {
				oldest = version{1, 30, 0}
			}
			if ok && known && kubernetes.less(oldest) {
				p.ReportWith(api.Warning, cp.Ref, fmt.Sprintf("Kubernetes %s is older than Istio %s supports", kubernetes, istio.line()),
					"istioctl refuses to install, and what istio-cni and native sidecars need of the kubelet may be missing",
					fmt.Sprintf("upgrade Kubernetes to %s or later before wave 0", oldest.line()), Field(cp.Ref, "spec.template.spec.containers", cp.Version))
			}
		}
	}
}
