package inventory

import (
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// isFlag tells whether an environment variable of istiod is a feature flag that
// changes what ambient does (facts P-03, L-17 and M-35, istio.io/istio
// pilot/pkg/features/ambient.go), or says that istiod serves other clusters (P-12). No other variable is ever looked at.
func isFlag(name string) bool {
	switch name {
	case "PILOT_ENABLE_AMBIENT", "PILOT_ENABLE_AMBIENT_WAYPOINTS", "PILOT_ENABLE_SENDING_HBONE",
		"PILOT_ENABLE_SIDECAR_LISTENING_HBONE", "PILOT_PREFER_SENDING_HBONE", "PILOT_AUTO_ALLOW_WAYPOINT_POLICY",
		"AMBIENT_ENABLE_STATUS", "AMBIENT_ENABLE_MULTI_NETWORK", "AMBIENT_ENABLE_MULTI_NETWORK_WAYPOINT",
		"AMBIENT_ENABLE_MULTI_NETWORK_INGRESS", "EXTERNAL_ISTIOD", "AMBIENT_ENABLE_DRY_RUN_AUTHORIZATION_POLICY",
		"AMBIENT_ENABLE_BAGGAGE", "AMBIENT_SCOPED_ADDRESS_PUSHES",
		"ENABLE_INGRESS_WAYPOINT_ROUTING", "ENABLE_LAYERED_WAYPOINT_AUTHORIZATION_POLICIES":
		return true
	}
	return false
}

// control recognises istiod and the components of the data plane.
func (b *builder) control(w *api.Workload, d *document, template map[string]any) {
	containers := objects(template, "spec", "containers")
	label := func(key string) string {
		if v := w.PodLabels[key]; v != "" {
			return v
		}
		return w.Labels[key]
	}
	if w.Kind == "Deployment" && (label("app") == "istiod" || label("istio") == "pilot" || w.Name == "istiod") {
		b.istiods = append(b.istiods, istiod(w, containers))
		return
	}
	if w.Kind != "DaemonSet" {
		return
	}
	name := componentName(w.Name, label)
	if name == "" {
		return
	}
	version := ""
	if len(containers) > 0 {
		version = imageTag(str(containers[0], "image"))
	}
	b.components = append(b.components, api.Component{Name: name, Version: version, Settings: pluginSettings(containers), Requests: requestsOfPod(containers), Ref: w.Ref()})
}

func istiod(w *api.Workload, containers []map[string]any) api.ControlPlane {
	cp := api.ControlPlane{Ref: w.Ref(), Revision: w.Labels["istio.io/rev"]}
	if cp.Revision == "" {
		cp.Revision = w.PodLabels["istio.io/rev"]
	}
	for _, c := range containers {
		if n := str(c, "name"); n != "discovery" && len(containers) > 1 {
			continue
		}
		cp.Version = imageTag(str(c, "image"))
		for _, e := range objects(c, "env") {
			// A flag by reference (valueFrom) has no value here.
			if n := str(e, "name"); isFlag(n) && e["value"] != nil {
				if cp.Flags == nil {
					cp.Flags = map[string]string{}
				}
				cp.Flags[n] = scalar(e["value"])
			}
		}
	}
	return cp
}

// imageTag is the tag of an image without the variant ("-distroless"); "" for a digest or none.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndexByte(image, ':')
	if i < 0 || strings.Contains(image[i:], "/") {
		return ""
	}
	tag := image[i+1:]
	for _, variant := range []string{"-distroless", "-debug"} {
		tag = strings.TrimSuffix(tag, variant)
	}
	return tag
}
