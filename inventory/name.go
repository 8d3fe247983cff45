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

// isName tells whether a word that a document claims to be its kind or name may
// be repeated: it is wider than the rule for names, and narrow enough to be safe
// as a part of a path, of Markdown and of a shell command. "" is fine.
func isName(s string) bool {
	if len(s) > 253 || strings.Contains(s, "..") || strings.HasPrefix(s, ".") || strings.HasPrefix(s, "-") {
		return false
	}
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
		default:
			return false
		}
	}
	return true
}
