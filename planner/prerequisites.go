package planner

import (
	"fmt"
	"slices"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/rules"
)

// installation is what wave 0 has to know of one control plane to name the commands.
type installation struct {
	// version of istiod without a leading "v", and its release line ("1.31"); empty
	// when the inventory does not say.
	version, line string
	revision      string
	namespace     string
	// node is the namespace of istio-cni and ztunnel.
	node string
	// platforms are values for global.platform; more than one needs a decision.
	platforms []string
}

// installations are the control planes of the inventory, or one of which nothing is known.
func installations(st *mesh.State) []installation {
	var platforms []string
	for _, n := range rules.Platforms(st) {
		if n.Value != "" {
			platforms = append(platforms, n.Value)
		}
	}
	var out []installation
	for _, c := range st.Clusters() {
		for _, cp := range c.Istiods {
			in := installation{
				version: strings.TrimPrefix(cp.Version, "v"), revision: cp.Revision, namespace: cp.Ref.Namespace,
				node: cp.Ref.Namespace, platforms: platforms,
			}
			if parts := strings.Split(in.version, "."); len(parts) >= 2 {
				in.line = parts[0] + "." + parts[1]
			}
			if slices.Contains(platforms, "openshift") {
				in.node = "kube-system"
			}
			out = append(out, in)
		}
	}
	if len(out) == 0 {
		out = append(out, installation{namespace: st.RootNamespace(), node: st.RootNamespace(), platforms: platforms})
	}
	return out
}

// ambientLine tells whether a release line can run the migration (facts P-01).
func ambientLine(line string) bool { return slices.Contains([]string{"1.29", "1.30", "1.31"}, line) }

// target is the version that the charts have after wave 0: that of istiod today
// where a migration works with it, and else one that a person chooses.
func (in installation) target() string {
	if ambientLine(in.line) {
		return in.version
	}
	return "VERSION"
}

// helm is the command that installs or upgrades one chart with the ambient
// profile. A chart without the profile keeps the defaults of sidecars (facts P-02).
func (in installation) helm(release, chart, namespace string) string {
	args := []string{"helm", "upgrade", "--install", release, "istio/" + chart, "-n", namespace, "--version", in.target(), "--reset-then-reuse-values", "--set", "profile=ambient"}
	switch len(in.platforms) {
	case 0:
	case 1:
		args = append(args, "--set", "global.platform="+in.platforms[0])
	default:
		args = append(args, "--set", "global.platform=PLATFORM")
	}
	if in.revision != "" && in.revision != "default" && chart == "istiod" {
		args = append(args, "--set", "revision="+in.revision)
	}
	return commandLine(args)
}

// istioctl is the same for an installation without Helm.
func (in installation) istioctl() string {
	args := []string{"istioctl", "upgrade", "--set", "profile=ambient"}
	if len(in.platforms) == 1 {
		args = append(args, "--set", "values.global.platform="+in.platforms[0])
	}
	if in.revision != "" && in.revision != "default" {
		args = append(args, "--set", "revision="+in.revision)
	}
	return commandLine(args)
}

// gatewayBundle is the bundle of the Gateway API that a release line was built
// with (facts P-05); "" for a line that is not known.
func gatewayBundle(line string) string {
	switch line {
	case "1.28", "1.29":
		return "1.4.1"
	case "1.30":
		return "1.5.1"
	case "1.31":
		return "1.6.0"
	}
	return ""
}

// componentChanges are the manual changes that install what ambient mode needs.
func componentChanges(st *mesh.State) []api.Change {
	manual := func(name, why, what string, facts ...string) api.Change {
		return api.Change{Object: api.Ref{Kind: "Cluster", Name: name}, Op: api.OpManual, Why: why, Manual: what, Rules: facts}
	}
	ins := installations(st)
	out := []api.Change{manual("gateway-api-crds", "waypoints are Gateways, and istiod ignores kinds whose CRDs are too old or too new", gatewayAPI(ins), "P-05", "P-06")}
	if notes := platformNotes(st); notes != "" {
		out = append(out, manual("platform", "the platform and the network plugin decide where istio-cni's files go and whether probes reach captured pods", notes, "P-09"))
	}
	for i, in := range ins {
		name := func(component string) string {
			if i == 0 {
				return component
			}
			return component + "-" + in.revisionOr(i)
		}
		out = append(out, manual(name("istiod"), "istiod must serve ztunnel and waypoints",
			in.versions()+"With Helm: "+in.helm("istio-base", "base", in.namespace)+" ; "+in.helm(in.istiodRelease(), "istiod", in.namespace)+". With istioctl, which installs all of this step at once: "+in.istioctl()+
				". Names of releases are those of Istio's guide; keep yours.", "P-01", "P-02", "P-03"))
		if i > 0 {
			continue // One agent and one ztunnel on each node serve all revisions.
		}
		out = append(out, manual("istio-cni", "istio-cni redirects the traffic of ambient pods to ztunnel; a mesh without it has to install it now",
			"With Helm: "+in.helm("istio-cni", "cni", in.node)+".", "P-02", "P-10"),
			manual("ztunnel", "ztunnel carries the traffic of ambient pods",
				"With Helm, in a version that is not newer than istiod's: "+in.helm("ztunnel", "ztunnel", in.node)+".", "P-01", "P-02"))
	}
	return out
}

func (in installation) revisionOr(i int) string {
	if in.revision != "" {
		return in.revision
	}
	return fmt.Sprint(i + 1)
}

func (in installation) istiodRelease() string {
	if in.revision != "" && in.revision != "default" {
		return "istiod-" + in.revision
	}
	return "istiod"
}

// versions says what the version of istiod means for the step.
func (in installation) versions() string {
	switch {
	case in.line == "":
		return "The version of istiod was not read: use 1.29, 1.30 or 1.31 for VERSION, the same for all charts. "
	case !ambientLine(in.line):
		return fmt.Sprintf("istiod runs %s: upgrade to 1.29, 1.30 or 1.31 first, one minor at a time, and use that for VERSION. ", in.version)
	}
	return fmt.Sprintf("istiod runs %s; the commands keep the version. ", in.version)
}

// gatewayAPI names the bundle for the release lines that run.
func gatewayAPI(ins []installation) string {
	var lines, bundles []string
	for _, in := range ins {
		if b := gatewayBundle(in.line); b != "" && !slices.Contains(bundles, b) {
			bundles = append(bundles, b)
			lines = append(lines, in.line)
		}
	}
	const table = "1.4.1 for Istio 1.29, 1.5.1 for 1.30, 1.6.x for 1.31"
	if len(bundles) != 1 || !ambientLine(lines[0]) {
		return "Install the Gateway API CRDs of the bundle version that fits the Istio that runs after this wave: " + table + "."
	}
	return fmt.Sprintf("Install the Gateway API CRDs of bundle %s, which Istio %s was built with: kubectl apply --server-side -f "+
		"https://github.com/kubernetes-sigs/gateway-api/releases/download/v%s/standard-install.yaml (experimental-install.yaml where rule P06 finds experimental fields; "+
		"where other controllers need another bundle, see rule P05 for what istiod reads of it).", bundles[0], lines[0], bundles[0])
}

// platformNotes are what the platforms need, in sentences.
func platformNotes(st *mesh.State) string {
	var notes, values []string
	for _, n := range rules.Platforms(st) {
		if n.Value != "" {
			values = append(values, n.Value)
			notes = append(notes, fmt.Sprintf("%s: every chart needs --set global.platform=%s; check: %s.", n.Name, n.Value, n.Check))
			continue
		}
		notes = append(notes, fmt.Sprintf("%s: check: %s.", n.Name, n.Check))
	}
	if len(values) > 1 {
		notes = append(notes, "Nodes of several platforms were seen: install istio-cni and ztunnel for each, with its value for PLATFORM.")
	}
	return strings.Join(notes, " ")
}
