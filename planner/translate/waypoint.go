package translate

import (
	"cmp"
	"fmt"

	security "istio.io/api/security/v1beta1"
	types "istio.io/api/type/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// Ports of HBONE (facts C-77).
const portHBONE = 15008

// Principal is the identity of a waypoint: the service account has the name of
// its Gateway (facts L-13).
func Principal(trustDomain string, w api.WaypointRef) string {
	return trustDomain + "/ns/" + w.Namespace + "/sa/" + w.Name
}

// WaypointGateway is the Gateway of a waypoint and the ConfigMap with its
// replicas, autoscaler and disruption budget. Without the ConfigMap a waypoint
// has one replica, which is a single point of failure (facts S-03 to S-05).
// crossNamespace opens the listener to services of other namespaces (E-18).
func WaypointGateway(w api.WaypointRef, p api.WaypointPolicy, crossNamespace bool) ([]api.Content, error) {
	labels := map[string]string{LabelManaged: ManagedBy, "istio.io/waypoint-for": "service"}
	from := gwv1.NamespacesFromSame
	if crossNamespace {
		from = gwv1.NamespacesFromAll
	}
	params := shortConfigName(w.Name)
	gw := &gwv1.Gateway{
		TypeMeta:   metav1.TypeMeta{APIVersion: gwv1.GroupVersion.String(), Kind: "Gateway"},
		ObjectMeta: metav1.ObjectMeta{Name: w.Name, Namespace: w.Namespace, Labels: labels},
		Spec: gwv1.GatewaySpec{
			GatewayClassName: "istio-waypoint",
			Infrastructure:   &gwv1.GatewayInfrastructure{ParametersRef: &gwv1.LocalParametersReference{Group: "", Kind: "ConfigMap", Name: params}},
			Listeners: []gwv1.Listener{{
				Name: "mesh", Port: portHBONE, Protocol: "HBONE",
				AllowedRoutes: &gwv1.AllowedRoutes{Namespaces: &gwv1.RouteNamespaces{From: &from}},
			}},
		},
	}
	overlays, err := waypointOverlays(w, p)
	if err != nil {
		return nil, err
	}
	cm := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Name: params, Namespace: w.Namespace, Labels: map[string]string{LabelManaged: ManagedBy}},
		Data:       overlays,
	}
	gc, err := content(gw)
	if err != nil {
		return nil, err
	}
	cc, err := content(cm)
	if err != nil {
		return nil, err
	}
	return []api.Content{cc, gc}, nil
}

func shortConfigName(gateway string) string {
	const suffix = "-parameters"
	return gateway[:min(len(gateway), 253-len(suffix))] + suffix
}

// waypointOverlays are the keys that istiod's gateway controller merges into
// what it deploys (pilot/pkg/config/kube/gatewaycommon/deploymentcontroller.go).
func waypointOverlays(w api.WaypointRef, p api.WaypointPolicy) (map[string]string, error) {
	least := max(p.MinReplicas, 2)
	most := max(p.MaxReplicas, least)
	if p.MaxReplicas == 0 {
		most = max(5, least)
	}
	match := map[string]any{"matchLabels": map[string]any{"gateway.networking.k8s.io/gateway-name": w.Name}}
	spread := func(key string) map[string]any {
		return map[string]any{"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": match}
	}
	out := map[string]string{}
	for key, v := range map[string]any{
		"horizontalPodAutoscaler": map[string]any{"spec": map[string]any{
			"minReplicas": least, "maxReplicas": most,
			"metrics": []any{map[string]any{"type": "Resource", "resource": map[string]any{
				"name": "cpu", "target": map[string]any{"type": "Utilization", "averageUtilization": cmp.Or(p.TargetCPUPercent, 70)},
			}}},
		}},
		"podDisruptionBudget": map[string]any{"spec": map[string]any{"minAvailable": 1}},
		"deployment": map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
			"topologySpreadConstraints": []any{spread("topology.kubernetes.io/zone"), spread("kubernetes.io/hostname")},
			"containers": []any{map[string]any{
				"name": "istio-proxy",
				"resources": map[string]any{"requests": map[string]any{
					"cpu": cmp.Or(p.CPURequest, "100m"), "memory": cmp.Or(p.MemoryRequest, "128Mi"),
				}},
				// All else that the Pod Security Standard "restricted" asks for is in istiod's template
				// (manifests/charts/istio-control/istio-discovery/files/waypoint.yaml); without this, namespaces that enforce
				// it refuse the waypoint's pods, and what it serves is cut off.
				"securityContext": map[string]any{"seccompProfile": map[string]any{"type": "RuntimeDefault"}},
			}},
		}}}},
	} {
		b, err := yaml.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("waypoint %s/%s: %s: %w", w.Namespace, w.Name, key, err)
		}
		out[key] = string(b)
	}
	return out, nil
}

// AdmitWaypoint is an ALLOW policy for the waypoint's identity on the pods of a
// Service. It belongs only where another ALLOW applies: alone it would deny
// everybody else (facts O-32).
func AdmitWaypoint(namespace, name string, selector map[string]string, principal string) (api.Content, error) {
	return selectorPolicy(namespace, name, selector, security.AuthorizationPolicy_ALLOW, &security.Source{Principals: []string{principal}})
}

// DenyBypass is a DENY policy for everybody but the waypoint on the pods of a
// Service. It must be attached by selector: ztunnel never sees one with
// targetRefs (facts O-31, X9). It also denies peers without an identity.
func DenyBypass(namespace, name string, selector map[string]string, principal string) (api.Content, error) {
	return selectorPolicy(namespace, name, selector, security.AuthorizationPolicy_DENY, &security.Source{NotPrincipals: []string{principal}})
}

func selectorPolicy(namespace, name string, selector map[string]string, action security.AuthorizationPolicy_Action, src *security.Source) (api.Content, error) {
	p := &securityv1.AuthorizationPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: "security.istio.io/v1", Kind: "AuthorizationPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{LabelManaged: ManagedBy}},
		Spec: security.AuthorizationPolicy{
			Selector: &types.WorkloadSelector{MatchLabels: selector},
			Action:   action,
			Rules:    []*security.Rule{{From: []*security.Rule_From{{Source: src}}}},
		},
	}
	return content(p)
}
