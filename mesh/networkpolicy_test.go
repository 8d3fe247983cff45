package mesh

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	netv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

func TestAdmitsHBONE(t *testing.T) {
	cases := []struct {
		name, spec      string
		ingress, egress bool
	}{
		{"deny all lets nobody in, so there is nothing to carry", `{podSelector: {}, policyTypes: [Ingress, Egress]}`, true, true},
		{"no ports means all ports", `{ingress: [{from: [{podSelector: {}}]}]}`, true, true},
		{"app port only", `{ingress: [{ports: [{port: 8080}]}]}`, false, true},
		{"named port only", `{ingress: [{ports: [{port: http}]}]}`, false, true},
		{"15008 in the same rule", `{ingress: [{ports: [{port: 8080}, {port: 15008}]}]}`, true, true},
		{"15008 in a range", `{ingress: [{ports: [{port: 1024, endPort: 65535}]}]}`, true, true},
		{"UDP 15008 is no HBONE", `{ingress: [{ports: [{port: 8080}, {port: 15008, protocol: UDP}]}]}`, false, true},
		{"any TCP port", `{ingress: [{ports: [{protocol: TCP}]}]}`, true, true},
		{"UDP only is not carried", `{ingress: [{ports: [{port: 53, protocol: UDP}]}]}`, true, true},
		{"another rule opens 15008 to all", `{ingress: [{from: [{podSelector: {}}], ports: [{port: 8080}]}, {ports: [{port: 15008}]}]}`, true, true},
		{"another rule opens 15008 to the same peer", `{ingress: [{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 8080}]}, {from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 15008}]}]}`, true, true},
		{"another rule opens 15008 to somebody else", `{ingress: [{from: [{podSelector: {matchLabels: {a: b}}}], ports: [{port: 8080}]}, {from: [{podSelector: {matchLabels: {a: c}}}], ports: [{port: 15008}]}]}`, false, true},
		{"a public block holds no pods", `{ingress: [{from: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 8080}]}]}`, true, true},
		{"everywhere holds pods", `{ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 8080}]}]}`, false, true},
		{"a broken block may hold pods", `{ingress: [{from: [{ipBlock: {cidr: nonsense}}], ports: [{port: 8080}]}]}`, false, true},
		{"egress by default only with rules", `{egress: [{ports: [{port: 8080}]}]}`, true, false},
		{"egress rules count only when the type is there", `{policyTypes: [Ingress], egress: [{ports: [{port: 8080}]}]}`, true, true},
		{"DNS is no mesh traffic", `{policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]}`, true, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			in, eg := AdmitsHBONE(policySpec(t, c.spec))
			if in != c.ingress || eg != c.egress {
				t.Errorf("ingress %v, egress %v; want %v, %v", in, eg, c.ingress, c.egress)
			}
		})
	}
}

func TestHBONEOpeningIsEnough(t *testing.T) {
	spec := policySpec(t, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress],
		ingress: [{from: [{podSelector: {matchLabels: {app: front}}}], ports: [{port: 8080}]},
		          {from: [{podSelector: {matchLabels: {app: front}}}], ports: [{port: 9090}]}],
		egress: [{to: [{namespaceSelector: {}}], ports: [{port: 5432}]}]}`)
	got := HBONEOpening(spec)
	want := policySpec(t, `{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress],
		ingress: [{from: [{podSelector: {matchLabels: {app: front}}}], ports: [{port: 15008, protocol: TCP}]}],
		egress: [{to: [{namespaceSelector: {}}], ports: [{port: 15008, protocol: TCP}]}]}`)
	if d := cmp.Diff(want, &got); d != "" {
		t.Errorf("opening (-want +got):\n%s", d)
	}
	spec.Ingress, spec.Egress = append(spec.Ingress, got.Ingress...), append(spec.Egress, got.Egress...)
	if in, eg := AdmitsHBONE(spec); !in || !eg {
		t.Errorf("with the opening: ingress %v, egress %v", in, eg)
	}
}

func TestPolicyPodsRefusesBadSelector(t *testing.T) {
	s, _ := New(&api.Inventory{})
	p := Typed[*netv1.NetworkPolicySpec]{Object: &api.Object{Kind: "NetworkPolicy", Namespace: "shop", Name: "bad"},
		Spec: policySpec(t, `{podSelector: {matchExpressions: [{key: a, operator: Sometimes}]}}`)}
	if _, err := s.PolicyPods(p); err == nil {
		t.Error("an operator that does not exist was accepted")
	}
}

func policySpec(t *testing.T, text string) *netv1.NetworkPolicySpec {
	t.Helper()
	spec := &netv1.NetworkPolicySpec{}
	if err := yaml.UnmarshalStrict([]byte(text), spec); err != nil {
		t.Fatal(err)
	}
	return spec
}
