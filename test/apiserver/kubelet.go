package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// keepPods plays scheduler, kubelet and istio-cni: it registers n Nodes, binds each
// Pod to one of them, marks those that ambient captures, and reports every Pod
// running and ready with an address.
func keepPods(ctx context.Context, cfg *rest.Config, n int) error {
	cs, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	for i := range n {
		node, err := cs.CoreV1().Nodes().Create(ctx, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{
				"kubernetes.io/os": "linux", "kubernetes.io/hostname": nodeName(i),
				"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": fmt.Sprintf("z%d", i%3)}},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		node.Spec.Taints = nil
		node.Status = corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: fmt.Sprintf("172.18.%d.%d", i/250, i%250+2)}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}},
			NodeInfo:   corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64", KubeletVersion: "v1.37.2", KernelVersion: "6.12.0"},
		}
		if _, err := cs.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
	}
	var ip atomic.Uint32
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[string]())
	_, inf := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(cs.CoreV1().RESTClient(), "pods", "", fields.Everything()),
		ObjectType:    &corev1.Pod{},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(o any) { k, _ := cache.MetaNamespaceKeyFunc(o); q.Add(k) },
			UpdateFunc: func(_, o any) { k, _ := cache.MetaNamespaceKeyFunc(o); q.Add(k) },
		},
	})
	go inf.Run(ctx.Done())
	go func() { <-ctx.Done(); q.ShutDown() }()
	for range 8 {
		go func() {
			for {
				k, down := q.Get()
				if down {
					return
				}
				if err := syncPod(ctx, cs, k, n, &ip); err != nil {
					q.AddRateLimited(k)
				} else {
					q.Forget(k)
				}
				q.Done(k)
			}
		}()
	}
	return nil
}

func syncPod(ctx context.Context, cs kubernetes.Interface, key string, n int, ip *atomic.Uint32) error {
	ns, name, _ := cache.SplitMetaNamespaceKey(key)
	p, err := cs.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil // gone
	}
	if p.DeletionTimestamp != nil {
		zero := int64(0)
		_ = cs.CoreV1().Pods(ns).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		return nil
	}
	if p.Spec.NodeName == "" {
		i := int(ip.Load()) % n
		err := cs.CoreV1().Pods(ns).Bind(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: name, UID: p.UID},
			Target: corev1.ObjectReference{Kind: "Node", Name: nodeName(i)}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
	}
	if p.Status.PodIP != "" {
		return nil
	}
	// What istio-cni does to a Pod it captures.
	if nsObj, err := cs.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{}); err == nil {
		mode := nsObj.Labels["istio.io/dataplane-mode"]
		if m, ok := p.Labels["istio.io/dataplane-mode"]; ok {
			mode = m
		}
		if _, sidecar := p.Annotations["sidecar.istio.io/status"]; mode == "ambient" && !sidecar {
			b := []byte(`{"metadata":{"annotations":{"ambient.istio.io/redirection":"enabled"}}}`)
			if _, err := cs.CoreV1().Pods(ns).Patch(ctx, name, types.MergePatchType, b, metav1.PatchOptions{}); err != nil {
				return err
			}
		}
	}
	v := ip.Add(1)
	addr := fmt.Sprintf("10.244.%d.%d", v/250, v%250+1)
	now := metav1.NewTime(time.Now())
	st := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: addr, PodIPs: []corev1.PodIP{{IP: addr}}, HostIP: "172.18.0.2", StartTime: &now}
	for _, t := range []corev1.PodConditionType{corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		st.Conditions = append(st.Conditions, corev1.PodCondition{Type: t, Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	run := corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}
	yes := true
	for _, c := range p.Spec.Containers {
		st.ContainerStatuses = append(st.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: c.Image, Ready: true, Started: &yes, State: run})
	}
	b, _ := json.Marshal(map[string]any{"status": st})
	_, err = cs.CoreV1().Pods(ns).Patch(ctx, name, types.StrategicMergePatchType, b, metav1.PatchOptions{}, "status")
	return err
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }
