package inventory

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	appsv1 "k8s.io/api/apps/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ambientplan/ambientplan/cluster"
)

// podsEach is how many pods a generated Deployment has.
const podsEach = 20

// bigCluster answers as an API server with so many pods, in protobuf.
func bigCluster(b *testing.B, pods int) string {
	b.Helper()
	codec := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme)
	write := func(w http.ResponseWriter, o k8sruntime.Object) {
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			b.Error(err)
		}
		o.GetObjectKind().SetGroupVersionKind(kinds[0])
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		if err := codec.Encode(o, w); err != nil {
			b.Error(err)
		}
	}
	page := func(r *http.Request, all int) (from, to int, next string) {
		from, _ = strconv.Atoi(r.URL.Query().Get("continue"))
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		if to = from + limit; to < all {
			return from, to, strconv.Itoa(to)
		}
		return from, all, ""
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/version":
			fmt.Fprint(w, `{"gitVersion":"v1.37.2"}`)
		case "/api":
			fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case "/apis":
			fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[{"name":"apps","versions":[{"groupVersion":"apps/v1","version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}]}`)
		case "/api/v1":
			fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod","namespaced":true,"verbs":["list"]}]}`)
		case "/apis/apps/v1":
			fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"apps/v1","resources":[{"name":"deployments","kind":"Deployment","namespaced":true,"verbs":["list"]},{"name":"replicasets","kind":"ReplicaSet","namespaced":true,"verbs":["list"]}]}`)
		case "/api/v1/pods":
			list := &corev1.PodList{}
			from, to, next := page(r, pods)
			for i := from; i < to; i++ {
				list.Items = append(list.Items, bigPod(i))
			}
			list.Continue = next
			write(w, list)
		case "/apis/apps/v1/deployments":
			list := &appsv1.DeploymentList{}
			from, to, next := page(r, (pods+podsEach-1)/podsEach)
			for i := from; i < to; i++ {
				p := bigPod(i * podsEach)
				list.Items = append(list.Items, appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: deploymentName(i), Namespace: p.Namespace, UID: types.UID("d" + strconv.Itoa(i))},
					Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": deploymentName(i)}}, Spec: p.Spec}}})
			}
			list.Continue = next
			write(w, list)
		case "/apis/apps/v1/replicasets":
			list := &appsv1.ReplicaSetList{}
			from, to, next := page(r, (pods+podsEach-1)/podsEach)
			yes := true
			for i := from; i < to; i++ {
				list.Items = append(list.Items, appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: deploymentName(i) + "-6d4b75cb6d", Namespace: bigPod(i * podsEach).Namespace, UID: types.UID("r" + strconv.Itoa(i)),
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: deploymentName(i), Controller: &yes}}}})
			}
			list.Continue = next
			write(w, list)
		default:
			http.NotFound(w, r)
		}
	}))
	b.Cleanup(s.Close)
	path := filepath.Join(b.TempDir(), "kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: big\ncontexts: [{name: big, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: %q}}]\nusers: [{name: u, user: {}}]\n", s.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

func deploymentName(i int) string { return fmt.Sprintf("service-%d", i) }

// bigPod is a pod as large as those of a mesh are.
func bigPod(i int) corev1.Pod {
	d := i / podsEach
	yes := true
	env := make([]corev1.EnvVar, 20)
	for k := range env {
		env[k] = corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", k), Value: strings.Repeat("x", 40)}
	}
	app := corev1.Container{Name: "app", Image: "registry.example.com/team/app:1.2.3", Env: env, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}
	proxy := corev1.Container{Name: "istio-proxy", Image: "registry.example.com/istio/proxyv2:1.31.0", Env: env}
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("%s-6d4b75cb6d-%05d", deploymentName(d), i), Namespace: fmt.Sprintf("team-%d", d/15), UID: types.UID("p" + strconv.Itoa(i)),
			Labels:          map[string]string{"app": deploymentName(d), "pod-template-hash": "6d4b75cb6d", "security.istio.io/tlsMode": "istio", "networking.istio.io/tunnel": "http"},
			Annotations:     map[string]string{"sidecar.istio.io/status": strings.Repeat("s", 300)},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: deploymentName(d) + "-6d4b75cb6d", Controller: &yes}},
		},
		Spec: corev1.PodSpec{ServiceAccountName: deploymentName(d), NodeName: "node", Containers: []corev1.Container{app, proxy},
			Volumes: make([]corev1.Volume, 8), Tolerations: make([]corev1.Toleration, 3)},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: make([]corev1.PodCondition, 5), ContainerStatuses: make([]corev1.ContainerStatus, 2)},
	}
}

// BenchmarkReadCluster reads clusters of several sizes, the largest as large as Kubernetes
// promises to work. It reports the largest heap while reading, sampled, and what is left.
// The server that makes the answers is in the same process.
func BenchmarkReadCluster(b *testing.B) {
	for _, pods := range []int{1_500, 15_000, 150_000} {
		b.Run(fmt.Sprintf("pods=%d", pods), func(b *testing.B) {
			kubeconfig := bigCluster(b, pods)
			for b.Loop() {
				c, err := cluster.Connect(cluster.Options{Kubeconfig: kubeconfig})
				if err != nil {
					b.Fatal(err)
				}
				stop, peak := make(chan struct{}), make(chan uint64)
				go sampleHeap(stop, peak)
				inv, err := ReadCluster(b.Context(), c, LiveOptions{})
				close(stop)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for i := range inv.Workloads {
					n += inv.Workloads[i].Pods.Sidecar
				}
				if n != pods {
					b.Fatalf("%d pods", n)
				}
				b.ReportMetric(float64(<-peak)/(1<<20), "peak-MiB")
				b.ReportMetric(float64(c.Calls()), "requests")
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(pods), "us/pod")
		})
	}
}

// sampleHeap finds the largest live heap.
func sampleHeap(stop <-chan struct{}, peak chan<- uint64) {
	var m runtime.MemStats
	most := uint64(0)
	for {
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-stop:
			peak <- most
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}
