package states

import (
	"fmt"
	"maps"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/test/e2e/istiod"
)

// Labels that the controller of waypoints sets.
const (
	labelGateway = "gateway.networking.k8s.io/gateway-name"
	labelManaged = "gateway.istio.io/managed"
	waypointKind = "istio.io-mesh-controller"
)

// with returns a copy of an object in which a part of its first level is changed.
func with(o map[string]any, part string, change func(map[string]any)) map[string]any {
	out := maps.Clone(o)
	old, _ := o[part].(map[string]any)
	m := maps.Clone(old)
	if m == nil {
		m = map[string]any{}
	}
	change(m)
	out[part] = m
	return out
}

// defaulted gives a Service what the API server does: an address, and what its
// ports do not say.
func defaulted(o map[string]any, n int) map[string]any {
	return with(o, "spec", func(spec map[string]any) {
		if spec["clusterIP"] == nil && spec["type"] != "ExternalName" {
			spec["clusterIP"] = fmt.Sprintf("10.96.%d.%d", n/250, 1+n%250)
		}
		var ports []any
		list, _ := spec["ports"].([]any)
		for _, p := range list {
			m, _ := p.(map[string]any)
			m = maps.Clone(m)
			if m["targetPort"] == nil {
				m["targetPort"] = m["port"]
			}
			if m["protocol"] == nil {
				m["protocol"] = "TCP"
			}
			ports = append(ports, m)
		}
		spec["ports"] = ports
	})
}

// stored is a policy in the version that istiod reads; the API server converts.
func stored(o map[string]any) map[string]any {
	out := maps.Clone(o)
	out["apiVersion"] = "security.istio.io/v1"
	return out
}

// ready gives a Gateway the status that its controller writes.
func ready(o map[string]any, ref api.Ref) map[string]any {
	return with(o, "status", func(status map[string]any) {
		status["addresses"] = []any{map[string]any{"type": "Hostname", "value": ref.Name + "." + ref.Namespace + ".svc.cluster.local"}}
	})
}

// withoutKeys replaces keys that istiod would fetch from the network.
func withoutKeys(o map[string]any) map[string]any {
	return with(o, "spec", func(spec map[string]any) {
		rules, _ := spec["jwtRules"].([]any)
		var out []any
		for _, r := range rules {
			m, _ := r.(map[string]any)
			m = maps.Clone(m)
			delete(m, "jwksUri")
			m["jwks"] = `{"keys":[]}`
			out = append(out, m)
		}
		spec["jwtRules"] = out
	})
}

func waypointLabels(name string) map[string]any {
	return map[string]any{labelGateway: name, labelManaged: waypointKind}
}

func waypointService(ref api.Ref, n int) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Service",
		"metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace, "labels": waypointLabels(ref.Name)},
		"spec": map[string]any{
			"clusterIP": fmt.Sprintf("10.97.%d.%d", n/250, 1+n%250),
			"selector":  map[string]any{labelGateway: ref.Name},
			"ports":     []any{map[string]any{"name": "mesh", "port": 15008, "appProtocol": "hbone"}},
		}}
}

func waypointPod(ref api.Ref) map[string]any {
	p := waypointProxy(ref.Namespace, ref.Name)
	return pod(p, waypointLabels(ref.Name), ref.Name, nil, nil)
}

// waypointProxy is the pod of a waypoint. Its address need only be its own.
func waypointProxy(namespace, name string) istiod.Proxy {
	sum := 0
	for _, c := range namespace + "/" + name {
		sum = (sum*31 + int(c)) % 62000
	}
	return istiod.Proxy{Namespace: namespace, Name: "pod-of-" + name, IP: fmt.Sprintf("10.8.%d.%d", sum/250, 1+sum%250), Waypoint: true,
		Labels: map[string]string{labelGateway: name, labelManaged: waypointKind}}
}

// podOf is a pod of a workload with the labels of its template in the state.
func podOf(w *api.Workload, template map[string]any, i int) (map[string]any, istiod.Proxy) {
	labels := map[string]any{}
	for k, v := range w.PodLabels {
		labels[k] = v
	}
	if path := mesh.TemplateLabels(w.Kind); template != nil && path != nil {
		m := template
		for _, p := range path {
			m, _ = m[p].(map[string]any)
		}
		for k, v := range m {
			labels[k] = v
		}
	}
	proxy := istiod.Proxy{Namespace: w.Namespace, Name: fmt.Sprintf("pod-%d", i), IP: fmt.Sprintf("10.0.%d.%d", 1+i/250, 1+i%250), Labels: map[string]string{}}
	for k, v := range labels {
		proxy.Labels[k], _ = v.(string)
	}
	var ports []any
	for _, p := range w.Ports {
		ports = append(ports, map[string]any{"name": p.Name, "containerPort": p.Port, "protocol": "TCP"})
	}
	return pod(proxy, labels, "default", ports, map[string]any{"ambient.istio.io/redirection": "enabled"}), proxy
}

func pod(p istiod.Proxy, labels map[string]any, account string, ports []any, annotations map[string]any) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": p.Name, "namespace": p.Namespace, "labels": labels, "annotations": annotations},
		"spec": map[string]any{"serviceAccountName": account, "nodeName": "node", "containers": []any{
			map[string]any{"name": "app", "image": "example.com/app", "ports": ports}}},
		"status": map[string]any{"phase": "Running", "podIP": p.IP, "podIPs": []any{map[string]any{"ip": p.IP}},
			"conditions": []any{map[string]any{"type": "Ready", "status": "True"}}}}
}
