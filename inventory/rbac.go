package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// roleName is the name of the role and of its binding.
const roleName = "ambientplan-reader"

// configMapRule is the rule of a role that lets somebody list the ConfigMaps of one
// name, as it stands in YAML.
func configMapRule(name string) string {
	return fmt.Sprintf(`{apiGroups: [""], resources: [configmaps], resourceNames: [%s], verbs: [list]}`, name)
}

// Role is the least that reading a cluster takes: list on every kind that an inventory
// asks for, and on the ConfigMaps of the mesh configuration by name, of the given
// revisions of Istio besides the default one. No Secret, no wildcard, no other verb.
// The binding names the subject, a user or, as NAMESPACE/NAME, a service account.
func Role(revisions []string, subject string) (*rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding) {
	byGroup := map[string][]string{}
	for _, k := range api.Kinds() {
		if k.Resource != "" {
			byGroup[k.Group] = append(byGroup[k.Group], k.Resource)
		}
	}
	role := &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: roleName},
	}
	groups := make([]string, 0, len(byGroup))
	for g := range byGroup {
		groups = append(groups, g)
	}
	slices.Sort(groups)
	for _, g := range groups {
		slices.Sort(byGroup[g])
		role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{g}, Resources: byGroup[g], Verbs: []string{"list"}})
	}
	names := []string{ciliumConfig, "istio"}
	for _, r := range revisions {
		if r != "" && r != "default" {
			names = append(names, "istio-"+r)
		}
	}
	slices.Sort(names)
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: slices.Compact(names), Verbs: []string{"list"}})
	binding := &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: roleName},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: roleName},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: cmp.Or(subject, "REPLACE-ME")}},
	}
	if ns, name, ok := strings.Cut(subject, "/"); ok {
		binding.Subjects = []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: name}}
	}
	return role, binding
}
