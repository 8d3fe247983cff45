package meshgen

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Manifests writes an inventory of Generate as the cluster would give it: one YAML document for each object, and one
// for each pod. Reading them gives the inventory again, but for edges, coverage and places.
func Manifests(inv *api.Inventory, w io.Writer) error {
	m := &manifests{w: bufio.NewWriter(w)}
	for i := range inv.Clusters {
		m.nodes(&inv.Clusters[i])
	}
	for i := range inv.Namespaces {
		n := &inv.Namespaces[i]
		m.write("v1", "Namespace", "", n.Name, n.Labels, nil, n.Owner, nil)
	}
	for i := range inv.Services {
		m.service(&inv.Services[i])
	}
	for i := range inv.Workloads {
		m.workload(&inv.Workloads[i])
	}
	for i := range inv.Objects {
		m.object(&inv.Objects[i])
	}
	if m.err != nil {
		return m.err
	}
	return m.w.Flush()
}

// manifests keeps the first error.
type manifests struct {
	w   *bufio.Writer
	err error
}

// document writes one object.
func (m *manifests) document(o object) {
	if m.err == nil {
		_, m.err = m.w.WriteString("---\n")
	}
	if m.err == nil {
		m.err = api.Encode(m.w, o)
	}
}

// write writes an object with metadata; rest are its other top-level fields.
func (m *manifests) write(apiVersion, kind, namespace, name string, labels, annotations map[string]string, owner *api.Owner, rest object) {
	meta := object{"name": name}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	if len(labels) > 0 {
		meta["labels"] = labels
	}
	if len(annotations) > 0 {
		meta["annotations"] = annotations
	}
	if owner != nil {
		meta["annotations"] = map[string]string{trackingID: owner.Name + ":" + api.GroupOf(apiVersion) + "/" + kind + ":" + namespace + "/" + name}
	}
	o := object{"apiVersion": apiVersion, "kind": kind, "metadata": meta}
	for k, v := range rest {
		o[k] = v
	}
	m.document(o)
}

func (m *manifests) nodes(c *api.Cluster) {
	n := 0
	for _, shape := range c.Nodes {
		for range shape.Count {
			n++
			m.write("v1", "Node", "", fmt.Sprintf("node-%05d", n), map[string]string{"kubernetes.io/os": shape.OS}, nil, nil, object{"status": object{
				"capacity": object{"cpu": shape.CPU, "memory": shape.Memory},
				"nodeInfo": object{"operatingSystem": shape.OS, "kubeletVersion": "v" + c.KubernetesVersion},
			}})
		}
	}
}

func (m *manifests) service(s *api.Service) {
	var ports list
	for _, p := range s.Ports {
		ports = append(ports, object{"name": p.Name, "port": p.Port, "targetPort": p.TargetPort, "protocol": p.Transport})
	}
	spec := object{"type": s.Type, "selector": s.Selector, "ports": ports}
	if s.Headless {
		spec["clusterIP"] = "None"
	}
	m.write("v1", "Service", s.Namespace, s.Name, s.Labels, s.Annotations, s.Owner, object{"spec": spec})
}

// workload writes what owns the pods, then the pods.
func (m *manifests) workload(w *api.Workload) {
	template := object{"metadata": object{"labels": w.PodLabels, "annotations": w.PodAnnotations}, "spec": podSpec(w)}
	spec := object{"selector": object{"matchLabels": object{"app": w.PodLabels["app"]}}, "template": template}
	if w.Replicas != nil {
		spec["replicas"] = *w.Replicas
	}
	if w.Kind == "CronJob" {
		spec = object{"schedule": "0 3 * * *", "jobTemplate": object{"spec": object{"template": template}}}
	}
	m.write(w.APIVersion, w.Kind, w.Namespace, w.Name, w.Labels, nil, w.Owner, object{"spec": spec})
	for i := range w.Pods.Total {
		m.pod(w, i)
	}
}

// podSpec is what the author of the template wrote.
func podSpec(w *api.Workload) object {
	var containers list
	for i, name := range w.Containers {
		image := "registry.example/" + name + ":1.0.0"
		if strings.HasPrefix(w.Namespace, "istio-") {
			image = "docker.io/istio/" + name + ":" + istioVersion
		}
		c := object{"name": name, "image": image}
		if name == "istio-proxy" {
			c["resources"] = proxyResources(w.Name)
		}
		if w.Name == "istiod" {
			c["env"] = list{object{"name": "PILOT_ENABLE_AMBIENT", "value": "true"}}
		}
		if i == 0 && len(w.Ports) > 0 {
			var ports list
			for _, p := range w.Ports {
				ports = append(ports, object{"name": p.Name, "containerPort": p.Port, "protocol": p.Protocol})
			}
			c["ports"] = ports
		}
		containers = append(containers, c)
	}
	spec := object{"serviceAccountName": w.ServiceAccount, "containers": containers}
	if w.HostNetwork {
		spec["hostNetwork"] = true
	}
	return spec
}

// pod writes the i-th pod. The first ones of a workload carry the sidecar, where some do.
func (m *manifests) pod(w *api.Workload, i int) {
	const hash = "5d4f8c7b9"
	labels := map[string]string{}
	for k, v := range w.PodLabels {
		labels[k] = v
	}
	controller := object{"apiVersion": w.APIVersion, "kind": w.Kind, "name": w.Name, "controller": true}
	name := fmt.Sprintf("%s-%d", w.Name, i)
	switch w.Kind {
	case "Deployment":
		labels["pod-template-hash"] = hash
		name = fmt.Sprintf("%s-%s-%05d", w.Name, hash, i)
		controller["kind"], controller["name"] = "ReplicaSet", w.Name+"-"+hash
	case "CronJob":
		job := fmt.Sprintf("%s-%08d", w.Name, 29000000+i)
		name = job + "-x7k2p"
		controller["kind"], controller["name"] = "Job", job
	}
	spec := podSpec(w)
	if i < w.Pods.NativeSidecar {
		spec["initContainers"] = list{object{"name": "istio-proxy", "image": "docker.io/istio/proxyv2:" + istioVersion, "restartPolicy": "Always", "resources": proxyResources(w.Name)}}
	}
	if i < w.Pods.HBONE {
		labels["networking.istio.io/tunnel"] = "http"
	}
	phase := "Running"
	if i < w.Pods.Done {
		phase = "Succeeded"
	}
	meta := object{"name": name, "namespace": w.Namespace, "labels": labels, "annotations": w.PodAnnotations, "ownerReferences": list{controller}}
	m.document(object{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": object{"phase": phase}})
}

// object writes an object as it stands; MeshConfig as the ConfigMap that holds it.
func (m *manifests) object(o *api.Object) {
	if o.Kind != "MeshConfig" {
		m.document(o.Content)
		return
	}
	var text strings.Builder
	if err := api.Encode(&text, o.Content["spec"]); err != nil && m.err == nil {
		m.err = err
	}
	m.write("v1", "ConfigMap", o.Namespace, o.Name, nil, nil, nil, object{"data": object{"mesh": text.String()}})
}
