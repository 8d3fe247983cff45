package inventory

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// impossibleName says why no API server would have taken an object of this name,
// or "". Every kind that is kept has a DNS name (k8s.io/kubernetes
// pkg/apis/*/validation, and for custom resources apiextensions-apiserver's
// default strategy), so a path, a line break or Markdown in one is a broken or
// hostile document. A name that ends in "-" may be a generateName.
func impossibleName(gk groupKind, name, namespace string) string {
	check := validation.IsDNS1123Subdomain
	if gk == (groupKind{"", "Namespace"}) {
		check = validation.IsDNS1123Label
	}
	if len(check(strings.TrimRight(name, "-"))) > 0 {
		return fmt.Sprintf("no object of Kubernetes can have the name %q", name)
	}
	if namespace != "" && len(validation.IsDNS1123Label(namespace)) > 0 {
		return fmt.Sprintf("no namespace of Kubernetes can have the name %q", namespace)
	}
	return ""
}
