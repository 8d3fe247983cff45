package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/test/e2e/apiserver"
)

// readConditions reads what istiod says of the objects of the last overlay.
func (c *campaign) readConditions(t *testing.T) {
	t.Helper()
	seen := map[string]int{}
	for _, o := range c.last {
		u := &unstructured.Unstructured{Object: o}
		want := wanted(u)
		if len(want) == 0 {
			continue
		}
		ref := api.Ref{Group: u.GroupVersionKind().Group, Kind: u.GetKind(), Namespace: u.GetNamespace(), Name: u.GetName()}
		var got []condition
		err := apiserver.Within(2*time.Minute, func() (err error) {
			got, err = c.check(t.Context(), ref, want)
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", ref, err)
		}
		for _, x := range got {
			seen[fmt.Sprintf("%s %s=%s (%s)", ref.Kind, x.name, x.status, x.reason)]++
			c.conditions++
		}
	}
	for _, line := range slices.Sorted(maps.Keys(seen)) {
		t.Logf("%4d %s", seen[line], line)
	}
}

// wanted are the conditions that must be true of an object: those that istiod
// writes once it acts on it. Sources: facts E-12, and the controllers in Istio's
// pilot/pkg/config/kube/gateway and pilot/pkg/serviceregistry/kube/controller/ambient.
func wanted(u *unstructured.Unstructured) []string {
	switch u.GetKind() {
	case "Gateway":
		class, _, _ := unstructured.NestedString(u.Object, "spec", "gatewayClassName")
		if class == "istio-waypoint" {
			return []string{"Accepted", "Programmed"}
		}
	case "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute":
		return []string{"Accepted", "ResolvedRefs"}
	case "Service", "ServiceEntry":
		if w := u.GetLabels()["istio.io/use-waypoint"]; w != "" && w != "none" {
			return []string{"istio.io/WaypointBound"}
		}
	case "AuthorizationPolicy":
		if refs, _, _ := unstructured.NestedSlice(u.Object, "spec", "targetRefs"); len(refs) > 0 {
			return []string{"WaypointAccepted"}
		}
	}
	return nil
}

// condition of an object, or of one of its parents.
type condition struct{ name, status, reason, message string }

// check reads the conditions of an object; an error says which one is not true.
func (c *campaign) check(ctx context.Context, ref api.Ref, want []string) ([]condition, error) {
	u, err := c.server.Get(ctx, ref)
	if err != nil {
		return nil, err
	}
	got := conditions(u)
	for _, name := range want {
		there := false
		for _, x := range got {
			if x.name != name {
				continue
			}
			there = true
			if x.status != "True" {
				return got, fmt.Errorf("%s is %s: %s: %s", name, x.status, x.reason, x.message)
			}
		}
		if !there {
			return got, fmt.Errorf("there is no condition %s, only %v", name, got)
		}
	}
	return got, nil
}

func conditions(u *unstructured.Unstructured) []condition {
	lists := [][]any{}
	l, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	lists = append(lists, l)
	parents, _, _ := unstructured.NestedSlice(u.Object, "status", "parents")
	for _, p := range parents {
		m, _ := p.(map[string]any)
		l, _ := m["conditions"].([]any)
		lists = append(lists, l)
	}
	var out []condition
	for _, l := range lists {
		for _, e := range l {
			m, _ := e.(map[string]any)
			text := func(key string) string { s, _ := m[key].(string); return s }
			out = append(out, condition{text("type"), text("status"), text("reason"), text("message")})
		}
	}
	return out
}
