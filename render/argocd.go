package render

// Objects of Argo CD (argo-cd v3.6.1 manifests/crds). They are plain values: the Go
// types are in a module that brings all of Argo CD along; test/crdcheck holds what
// is rendered against the definitions of the kinds.

// argoVersion is the version of Argo CD's API.
const argoVersion = "argoproj.io/v1alpha1"

// argo are the files for Argo CD: the project that says what the tree may touch, the
// Application that follows the pointer, and health checks that Argo CD does not have.
func (t *Tree) argo() map[string]map[string]any {
	return map[string]map[string]any{
		"kustomization.yaml": {
			"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
			"resources": []any{"application.yaml", "appproject.yaml"},
		},
		"appproject.yaml":       t.argoProject(),
		"application.yaml":      t.argoApplication(),
		"argocd-cm.health.yaml": argoHealth(t.wrappers.repo.Namespace),
	}
}

// argoProject allows this one repository, and of the cluster only the namespaces and
// kinds that the plan touches: whatever else finds its way into the directory is refused.
func (t *Tree) argoProject() map[string]any {
	w := t.wrappers
	namespaces, in, wide := planned(t.plan)
	if len(namespaces) == 0 {
		namespaces = []string{"default"}
	}
	kind := func(k groupKind) any { return map[string]any{"group": k.group, "kind": k.kind} }
	return map[string]any{
		"apiVersion": argoVersion, "kind": "AppProject",
		"metadata": map[string]any{
			"name": w.name, "namespace": w.repo.Namespace,
			// Below an application of applications the project is there first.
			"annotations": map[string]any{"argocd.argoproj.io/sync-wave": "-1"},
		},
		"spec": map[string]any{
			"description": "migration from sidecars to ambient mode: one repository, and the namespaces and kinds that the plan touches",
			"sourceRepos": []any{w.repo.URL},
			"destinations": list(namespaces, func(ns string) any {
				return map[string]any{"name": w.repo.Cluster, "namespace": ns}
			}),
			"clusterResourceWhitelist":   list(wide, kind),
			"namespaceResourceWhitelist": list(in, kind),
		},
	}
}

// argoApplication follows the pointer.
func (t *Tree) argoApplication() map[string]any {
	w := t.wrappers
	namespaces, _, _ := planned(t.plan)
	namespace := "default"
	if len(namespaces) > 0 {
		namespace = namespaces[0]
	}
	return map[string]any{
		"apiVersion": argoVersion, "kind": "Application",
		"metadata": map[string]any{
			// No finalizer: who deletes the Application must not delete the mesh configuration.
			"name": w.name, "namespace": w.repo.Namespace,
			"annotations": map[string]any{
				"argocd.argoproj.io/sync-wave": "0",
				// The API server says what differs: fragments lack fields that are required, and
				// routes have defaults that the tree does not spell out.
				"argocd.argoproj.io/compare-options": "ServerSideDiff=true",
			},
		},
		"spec": map[string]any{
			"project":     w.name,
			"source":      map[string]any{"repoURL": w.repo.URL, "targetRevision": w.repo.Branch, "path": w.path(t.pointer)},
			"destination": map[string]any{"name": w.repo.Cluster, "namespace": namespace},
			"syncPolicy": map[string]any{
				// prune: steps that finish, and ways back, take objects away; fragments forbid it for
				// the objects of others. selfHeal would undo what people do in an emergency.
				"automated": map[string]any{"prune": true, "selfHeal": false, "allowEmpty": false},
				"syncOptions": []any{
					"ServerSideApply=true",
					// Else the fields of whoever ran `kubectl apply` would become Argo CD's, and those
					// that a fragment lacks would go.
					"ClientSideApplyMigration=false",
					// What is added works before what it stands in for is taken away.
					"PruneLast=true",
					// Stops instead of fighting with another Application.
					"FailOnSharedResource=true",
					"ApplyOutOfSyncOnly=true",
					"CreateNamespace=false",
				},
				"retry": map[string]any{
					"limit":   int64(5),
					"backoff": map[string]any{"duration": "10s", "factor": int64(2), "maxDuration": "5m"},
				},
			},
			// No ignoreDifferences: the tree holds no field that another controller owns, and one
			// that differs all the same is one to look at.
			"revisionHistoryLimit": int64(20),
		},
	}
}

// argoHealth is what argocd-cm needs for gates that Argo CD does not have: whether a
// Service is bound to its waypoint (facts L-16 and the conditions beside it), and whether a
// policy at a waypoint is accepted. Gateways and routes of the Gateway API have checks of
// Argo CD's own (resource_customizations/gateway.networking.k8s.io). It is a part of a
// ConfigMap, to be merged by the owner of Argo CD, and no resource of the kustomization.
func argoHealth(namespace string) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": "argocd-cm", "namespace": namespace},
		"data": map[string]any{
			"resource.customizations.health.Service":                               ServiceHealthLua,
			"resource.customizations.health.security.istio.io_AuthorizationPolicy": PolicyHealthLua,
		},
	}
}

// ServiceHealthLua is the health of a Service for Argo CD: a Service that names a
// waypoint is healthy once istiod says that it is bound to it. The check of load balancers
// that Argo CD makes itself is repeated, for a custom check replaces it.
const ServiceHealthLua = `hs = {}
if obj.spec ~= nil and obj.spec.type == "LoadBalancer" then
  if obj.status == nil or obj.status.loadBalancer == nil or obj.status.loadBalancer.ingress == nil or #obj.status.loadBalancer.ingress == 0 then
    hs.status = "Progressing"
    hs.message = "waiting for an address of the load balancer"
    return hs
  end
end
local waypoint = nil
if obj.metadata.labels ~= nil then
  waypoint = obj.metadata.labels["istio.io/use-waypoint"]
end
if waypoint == nil or waypoint == "none" then
  hs.status = "Healthy"
  return hs
end
hs.status = "Progressing"
hs.message = "waiting for istiod to bind it to waypoint " .. waypoint
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, c in ipairs(obj.status.conditions) do
    if c.type == "istio.io/WaypointBound" then
      hs.message = c.message
      if c.status == "True" then
        hs.status = "Healthy"
      end
    end
  end
end
return hs
`

// PolicyHealthLua is the health of an AuthorizationPolicy for Argo CD. Copies of
// policies for waypoints are looked at: they must be accepted, or wait for a Service to be
// bound, which is right until the step "activate" (fact L-16, O-34).
const PolicyHealthLua = `hs = {}
hs.status = "Healthy"
if obj.metadata.labels == nil or obj.metadata.labels["app.kubernetes.io/managed-by"] ~= "ambientplan" then
  return hs
end
if obj.spec == nil or obj.spec.targetRefs == nil then
  return hs
end
hs.status = "Progressing"
hs.message = "waiting for istiod to read it"
if obj.status ~= nil and obj.status.conditions ~= nil then
  for i, c in ipairs(obj.status.conditions) do
    if c.type == "WaypointAccepted" then
      hs.message = c.message
      if c.reason == "Accepted" or c.reason == "AncestorNotBound" then
        hs.status = "Healthy"
      else
        hs.status = "Degraded"
      end
    end
  end
end
return hs
`
