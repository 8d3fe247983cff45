package render

import "strings"

// Objects of Flux (kustomize-controller and source-controller v1.10.1 config/crd/bases),
// as plain values: test/crdcheck holds them against the definitions of the kinds.

// fluxTimeout is how long Flux waits for what it applied. Unless its controller runs
// with the feature gate CancelHealthCheckOnNewRevision, Flux looks at no new commit
// before that, so it is how long a way back may have to wait.
const fluxTimeout = "5m"

// flux are the files for Flux: the source, and the Kustomization that follows the pointer.
func (t *Tree) flux() map[string]map[string]any {
	w := t.wrappers
	meta := func() map[string]any { return map[string]any{"name": w.name, "namespace": w.repo.Namespace} }
	spec := map[string]any{
		"interval": "10m", "retryInterval": "1m", "timeout": fluxTimeout,
		"path":      "./" + w.path(t.pointer),
		"sourceRef": map[string]any{"kind": "GitRepository", "name": w.name},
		// Steps that finish, and ways back, take objects away; fragments forbid it for the
		// objects of others.
		"prune": true,
		// Who deletes the Kustomization must not delete the mesh configuration.
		"deletionPolicy": "Orphan",
		"force":          false,
		// Everything in the tree, which is more at every step. A list of healthChecks would name
		// what later steps create, and never become ready.
		"wait":             true,
		"healthCheckExprs": FluxHealth(),
	}
	if len(w.repo.DependsOn) > 0 {
		spec["dependsOn"] = list(w.repo.DependsOn, func(d string) any {
			if ns, name, ok := strings.Cut(d, "/"); ok {
				return map[string]any{"namespace": ns, "name": name}
			}
			return map[string]any{"name": d}
		})
	}
	return map[string]map[string]any{
		"kustomization.yaml": {
			"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
			"resources": []any{"gitrepository.yaml", "sync.yaml"},
		},
		"gitrepository.yaml": {
			"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta(),
			"spec": map[string]any{"interval": "1m", "timeout": "60s", "url": w.repo.URL, "ref": map[string]any{"branch": w.repo.Branch}},
		},
		"sync.yaml": {
			"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta(), "spec": spec,
		},
	}
}

// FluxHealth are the healthCheckExprs: what a step has brought must work before the
// Kustomization is ready. An expression that is not true, or that fails because istiod has
// written no status yet, means "in progress", and in the end a timeout (fluxcd/pkg/runtime
// cel/status_evaluator.go).
func FluxHealth() []any {
	expr := func(version, kind string, current ...string) any {
		return map[string]any{"apiVersion": version, "kind": kind, "current": strings.Join(current, " ")}
	}
	const route = "has(status.parents) && status.parents.size() > 0 && status.parents.all(p, has(p.conditions) &&" +
		" ['Accepted', 'ResolvedRefs'].all(t, p.conditions.exists(c, c.type == t && c.status == 'True' && c.observedGeneration == metadata.generation)))"
	return []any{
		expr("gateway.networking.k8s.io/v1", "Gateway",
			"has(status.conditions) && status.conditions.exists(c, c.type == 'Programmed' && c.status == 'True' && c.observedGeneration == metadata.generation)"),
		expr("gateway.networking.k8s.io/v1", "HTTPRoute", route),
		expr("gateway.networking.k8s.io/v1", "GRPCRoute", route),
		// A Service that names a waypoint is bound to it; load balancers have an address, which
		// Flux checks itself where there is no expression.
		expr("v1", "Service",
			"(!has(spec.type) || spec.type != 'LoadBalancer' || (has(status.loadBalancer.ingress) && status.loadBalancer.ingress.size() > 0)) &&",
			"(!has(metadata.labels) || !('istio.io/use-waypoint' in metadata.labels) || metadata.labels['istio.io/use-waypoint'] == 'none' ||",
			"(has(status.conditions) && status.conditions.exists(c, c.type == 'istio.io/WaypointBound' && c.status == 'True')))"),
		// Copies for waypoints are accepted, or wait for a Service to be bound (L-16, O-34).
		expr("security.istio.io/v1", "AuthorizationPolicy",
			"!has(metadata.labels) || !('app.kubernetes.io/managed-by' in metadata.labels) || metadata.labels['app.kubernetes.io/managed-by'] != 'ambientplan' ||",
			"!has(spec.targetRefs) || (has(status.conditions) &&",
			"status.conditions.exists(c, c.type == 'WaypointAccepted' && (c.reason == 'Accepted' || c.reason == 'AncestorNotBound')))"),
	}
}
