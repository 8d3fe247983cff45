package translate

import (
	"testing"

	netv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestOpening(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"a port list without 15008 gets the same peers on 15008",
			`{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 8080}]}]}`,
			`ingress:
- from:
  - podSelector:
      matchLabels:
        app: cart
  ports:
  - port: 15008
    protocol: TCP
- from:
  - podSelector:
      matchLabels:
        gateway.networking.k8s.io/gateway-name: waypoint
  ports:
  - port: 15008
    protocol: TCP
- from:
  - ipBlock:
      cidr: 169.254.7.127/32
podSelector:
  matchLabels:
    app: web
policyTypes:
- Ingress
`},
		{"open to all needs nothing", `{podSelector: {}, ingress: [{}]}`, ""},
		{"a range that holds 15008 admits it already, the probe address is still missing",
			`{podSelector: {}, ingress: [{ports: [{port: 15000, endPort: 15010}]}]}`,
			`ingress:
- from:
  - podSelector:
      matchLabels:
        gateway.networking.k8s.io/gateway-name: waypoint
  ports:
  - port: 15008
    protocol: TCP
- from:
  - ipBlock:
      cidr: 169.254.7.127/32
podSelector: {}
policyTypes:
- Ingress
`},
		{"egress only: ingress must not become isolated",
			`{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}}], ports: [{port: 5432}]}]}`,
			`egress:
- ports:
  - port: 15008
    protocol: TCP
  to:
  - namespaceSelector: {}
- ports:
  - port: 15008
    protocol: TCP
  to:
  - namespaceSelector: {}
    podSelector:
      matchLabels:
        gateway.networking.k8s.io/gateway-class-name: istio-waypoint
podSelector: {}
policyTypes:
- Egress
`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var spec netv1.NetworkPolicySpec
			if err := yaml.UnmarshalStrict([]byte(c.in), &spec); err != nil {
				t.Fatal(err)
			}
			got, needed, err := Opening("shop", "x", &spec, []api.WaypointRef{{Name: "waypoint", Namespace: "shop"}})
			if err != nil {
				t.Fatal(err)
			}
			if needed != (c.want != "") {
				t.Fatalf("needed = %v", needed)
			}
			if !needed {
				return
			}
			b, err := yaml.Marshal(got["spec"])
			if err != nil {
				t.Fatal(err)
			}
			if string(b) != c.want {
				t.Errorf("got\n%s\nwant\n%s", b, c.want)
			}
		})
	}
}
