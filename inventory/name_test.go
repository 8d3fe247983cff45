package inventory

import (
	"strings"
	"testing"
)

func TestImpossibleName(t *testing.T) {
	ns, deploy := groupKind{"", "Namespace"}, groupKind{"apps", "Deployment"}
	tests := []struct {
		gk              groupKind
		name, namespace string
		impossible      bool
	}{
		{deploy, "web", "shop", false},
		{deploy, "web.v1", "shop", false},
		{deploy, "web-", "shop", false}, // a generateName
		{ns, "shop", "", false},
		{ns, "shop.v1", "", true},
		{deploy, "web", "shop.v1", true},
		{deploy, "../../etc", "shop", true},
		{deploy, "..", "shop", true},
		{deploy, "web", "../etc", true},
		{deploy, "web\nkind: Secret", "shop", true},
		{deploy, "web|`x`<script>", "shop", true},
		{deploy, "${NAME}", "shop", true},
		{deploy, strings.Repeat("a", 254), "shop", true},
	}
	for _, tt := range tests {
		if got := impossibleName(tt.gk, tt.name, tt.namespace); (got != "") != tt.impossible {
			t.Errorf("%s %q in %q: got %q, want a reason: %t", tt.gk.kind, tt.name, tt.namespace, got, tt.impossible)
		}
	}
}
