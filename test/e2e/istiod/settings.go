package istiod

import (
	"fmt"
	"strings"

	meshconfig "istio.io/api/mesh/v1alpha1"
	istiomesh "istio.io/istio/pkg/config/mesh"

	"github.com/ambientplan/ambientplan/mesh"
)

// MeshOf takes from a mesh's settings what authorization depends on.
func MeshOf(state *mesh.State) *meshconfig.MeshConfig {
	out := istiomesh.DefaultMeshConfig()
	out.RootNamespace, out.TrustDomain = state.RootNamespace(), state.TrustDomain()
	for _, mc := range state.MeshConfigs() {
		out.TrustDomainAliases, out.ExtensionProviders = mc.Spec.TrustDomainAliases, mc.Spec.ExtensionProviders
	}
	return out
}

// Authorizer is the Service of an external authorizer, without which istiod denies.
func Authorizer(p *meshconfig.MeshConfig_ExtensionProvider) string {
	host, port := p.GetEnvoyExtAuthzGrpc().GetService(), p.GetEnvoyExtAuthzGrpc().GetPort()
	if host == "" {
		host, port = p.GetEnvoyExtAuthzHttp().GetService(), p.GetEnvoyExtAuthzHttp().GetPort()
	}
	parts := strings.Split(host, ".")
	if len(parts) < 2 {
		return ""
	}
	return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\nspec: {clusterIP: 10.97.0.%d, ports: [{name: http, port: %d}]}", parts[0], parts[1], port%250+1, port)
}
