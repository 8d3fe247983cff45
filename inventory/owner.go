package inventory

import (
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// ownerOf says who else manages an object, by what the object itself carries,
// from the most to the least telling: Argo CD's and Flux's tracking, Helm's
// release, a controlling owner reference, an operator's label, field managers.
func ownerOf(c api.Content) *api.Owner {
	meta := object(c, "metadata")
	labels, annotations := stringMap(meta, "labels"), stringMap(meta, "annotations")
	if v := annotations["argocd.argoproj.io/tracking-id"]; v != "" {
		name, _, _ := strings.Cut(v, ":")
		return &api.Owner{By: "argocd", Name: name, Evidence: "annotation argocd.argoproj.io/tracking-id"}
	}
	for _, k := range []string{"argocd.argoproj.io/instance", "argocd.argoproj.io/application-set-name"} {
		if v := labels[k]; v != "" {
			return &api.Owner{By: "argocd", Name: v, Evidence: "label " + k}
		}
	}
	for _, k := range []string{"kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io"} {
		if v := labels[k+"/name"]; v != "" {
			return &api.Owner{By: "flux", Name: joined(labels[k+"/namespace"], v), Evidence: "label " + k + "/name"}
		}
	}
	if v := annotations["meta.helm.sh/release-name"]; v != "" {
		return &api.Owner{By: "helm", Name: joined(annotations["meta.helm.sh/release-namespace"], v), Evidence: "annotation meta.helm.sh/release-name"}
	}
	if labels["app.kubernetes.io/managed-by"] == "Helm" || labels["heritage"] == "Helm" || labels["heritage"] == "Tiller" {
		k := "app.kubernetes.io/managed-by"
		if labels[k] != "Helm" {
			k = "heritage"
		}
		name := labels["release"]
		if name == "" {
			name = labels["app.kubernetes.io/instance"]
		}
		return &api.Owner{By: "helm", Name: name, Evidence: "label " + k}
	}
	if ref, ok := controllerOf(meta); ok {
		return &api.Owner{By: "controller", Name: ref.kind + "/" + ref.name, Evidence: "metadata.ownerReferences"}
	}
	if v := labels["install.operator.istio.io/owning-resource"]; v != "" {
		return &api.Owner{By: "operator", Name: v, Evidence: "label install.operator.istio.io/owning-resource"}
	}
	if v := labels["app.kubernetes.io/managed-by"]; strings.HasSuffix(strings.ToLower(v), "operator") {
		return &api.Owner{By: "operator", Name: v, Evidence: "label app.kubernetes.io/managed-by"}
	}
	return fieldManager(meta)
}

func joined(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// fieldManager looks for a GitOps controller among those who wrote the object.
func fieldManager(meta map[string]any) *api.Owner {
	found := map[string]string{}
	for _, f := range objects(meta, "managedFields") {
		m := str(f, "manager")
		switch m {
		case "argocd-controller", "argocd-application-controller":
			found["argocd"] = m
		case "kustomize-controller", "helm-controller":
			found["flux"] = m
		case "helm":
			found["helm"] = m
		}
	}
	for _, by := range []string{"argocd", "flux", "helm"} {
		if m := found[by]; m != "" {
			return &api.Owner{By: by, Evidence: "field manager " + m}
		}
	}
	return nil
}

// ownerRef is a controlling owner reference.
type ownerRef struct{ apiVersion, kind, name string }

// controllerOf is the owner reference with controller: true, else the only one.
func controllerOf(meta map[string]any) (ownerRef, bool) {
	refs := objects(meta, "ownerReferences")
	one := len(refs) == 1
	for _, r := range refs {
		o := ownerRef{str(r, "apiVersion"), str(r, "kind"), str(r, "name")}
		if (one || truth(r, "controller")) && o.name != "" && isName(o.name) && o.kind != "" && isName(o.kind) {
			return o, true
		}
	}
	return ownerRef{}, false
}
