package cluster

import (
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// slim takes out of the objects that there are most of what nobody reads, before it is
// converted: volumes, environment, conditions of containers, who wrote which field. A
// ReplicaSet or Job with an owner only leads from pods to that owner.
func slim(o runtime.Object) {
	switch o := o.(type) {
	case *corev1.Pod:
		o.ManagedFields = nil
		slimSpec(&o.Spec)
		for _, list := range [][]corev1.ContainerStatus{o.Status.ContainerStatuses, o.Status.InitContainerStatuses, o.Status.EphemeralContainerStatuses} {
			for i := range list {
				list[i] = corev1.ContainerStatus{Name: list[i].Name, Ready: list[i].Ready, RestartCount: list[i].RestartCount, Started: list[i].Started}
			}
		}
	case *appsv1.ReplicaSet:
		o.ManagedFields = managers(o.ManagedFields)
		if metav1.GetControllerOf(o) != nil {
			o.Spec.Template = corev1.PodTemplateSpec{}
		}
	case *batchv1.Job:
		o.ManagedFields = managers(o.ManagedFields)
		if metav1.GetControllerOf(o) != nil {
			o.Spec.Template = corev1.PodTemplateSpec{}
		}
	case *corev1.Node:
		o.ManagedFields, o.Status.Images, o.Status.VolumesAttached, o.Status.VolumesInUse = nil, nil, nil, nil
	default:
		if m, ok := o.(metav1.Object); ok {
			m.SetManagedFields(managers(m.GetManagedFields()))
		}
	}
}

// managers keeps who wrote, and not which fields.
func managers(in []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	for i := range in {
		in[i].FieldsV1 = nil
	}
	return in
}

// slimSpec keeps of a pod what tells its data plane mode and who calls its proxy.
func slimSpec(s *corev1.PodSpec) {
	s.Volumes, s.Tolerations, s.Affinity, s.TopologySpreadConstraints, s.ImagePullSecrets = nil, nil, nil, nil, nil
	for _, list := range [][]corev1.Container{s.Containers, s.InitContainers} {
		for i := range list {
			c := &list[i]
			c.Env, c.EnvFrom, c.VolumeMounts, c.VolumeDevices = nil, nil, nil, nil
		}
	}
}
