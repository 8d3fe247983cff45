package planner

import (
	"strings"
	"testing"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
)

// TestComponentChanges checks that wave 0 names commands of the version, revision
// and platform that the inventory tells of, and placeholders where it does not.
func TestComponentChanges(t *testing.T) {
	istiod := func(version, revision string) api.ControlPlane {
		return api.ControlPlane{Ref: api.Ref{Group: "apps", Kind: "Deployment", Namespace: "mesh", Name: "istiod"}, Version: version, Revision: revision}
	}
	for name, c := range map[string]struct {
		cluster    api.Cluster
		has, lacks []string
	}{
		"known": {
			api.Cluster{Istiods: []api.ControlPlane{istiod("1.30.2", "")}},
			[]string{"bundle 1.5.1", "istio/ztunnel -n mesh --version 1.30.2", "istio/istiod -n mesh --version 1.30.2", "istioctl upgrade --set profile=ambient"},
			[]string{"VERSION", "global.platform", "revision="},
		},
		"revision and platform": {
			api.Cluster{Istiods: []api.ControlPlane{istiod("1.31.0", "blue")}, Platforms: []api.Platform{{Name: "openshift"}}},
			[]string{"istiod-blue", "--set revision=blue", "istio/cni -n kube-system", "--set global.platform=openshift", "values.global.platform=openshift", "provider multus"},
			[]string{"VERSION"},
		},
		"two platforms": {
			api.Cluster{Istiods: []api.ControlPlane{istiod("1.31.0", "")}, Platforms: []api.Platform{{Name: "gke"}, {Name: "k3s"}}},
			[]string{"global.platform=PLATFORM", "Nodes of several platforms"}, []string{"global.platform=gke ;"},
		},
		"no platform value": {
			api.Cluster{Istiods: []api.ControlPlane{istiod("1.31.0", "")}, Platforms: []api.Platform{{Name: "eks"}}},
			[]string{"POD_SECURITY_GROUP_ENFORCING_MODE=standard"}, []string{"global.platform="},
		},
		"too old":       {api.Cluster{Istiods: []api.ControlPlane{istiod("1.20.1", "")}}, []string{"upgrade to 1.29", "--version VERSION"}, []string{"--version 1.20.1"}},
		"not a version": {api.Cluster{Istiods: []api.ControlPlane{istiod("latest", "")}}, []string{"--version VERSION"}, []string{"--version latest"}},
		"no istiod":     {api.Cluster{}, []string{"was not read", "--version VERSION", "-n istio-system"}, nil},
		"two revisions": {
			api.Cluster{Istiods: []api.ControlPlane{istiod("1.30.0", "old"), istiod("1.31.0", "new")}},
			[]string{"istiod-old", "istiod-new", "1.4.1 for Istio 1.29"}, []string{"bundle 1.5.1"},
		},
		"hostile": {api.Cluster{Istiods: []api.ControlPlane{istiod("1.31.0", "a; rm -rf /")}}, []string{"'revision=a; rm -rf /'"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st, _ := mesh.New(&api.Inventory{Clusters: []api.Cluster{c.cluster}})
			var text strings.Builder
			for _, x := range componentChanges(st) {
				if x.Op != api.OpManual || x.Why == "" || len(x.Rules) == 0 {
					t.Errorf("%s: not a manual change with a reason and facts", x.Object)
				}
				text.WriteString(x.Object.Name + ": " + x.Manual + "\n")
			}
			for _, want := range c.has {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, &text)
				}
			}
			for _, bad := range c.lacks {
				if strings.Contains(text.String(), bad) {
					t.Errorf("%q should not be in:\n%s", bad, &text)
				}
			}
		})
	}
}
