package render

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// clusterScoped is the folder of objects without a namespace. Every name of ours
// with an underscore goes on with a letter that is not a hexadecimal digit, so no
// encoded name is like it.
const clusterScoped = "_cluster"

// maxName is how long an encoded name may be before its end is replaced by a
// digest. File systems allow 255 bytes; prefixes and suffixes need room.
const maxName = 180

// dirName is name as one element of a path, safe on every file system: lower case
// letters, digits and inner "-" stay, every other byte becomes _XX (kustomize's file
// system in memory refuses "%"). Kubernetes namespaces (DNS-1123 labels) are unchanged. Different names give different
// elements, also where a file system folds case: a name that is too long ends in
// a SHA-256 of the whole.
func dirName(name string) string { return encodeName(name, false) }

// fileName is dirName for names of objects, which may hold inner dots (DNS-1123 subdomains).
func fileName(name string) string { return encodeName(name, true) }

func encodeName(name string, dots bool) string {
	if name == "" {
		return "_"
	}
	var b strings.Builder
	for i := range len(name) {
		c := name[i]
		inner := i > 0 && i < len(name)-1
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-' && inner:
			b.WriteByte(c)
		case c == '.' && dots && inner && name[i-1] != '.':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "_%02X", c)
		}
	}
	s := b.String()
	if len(s) <= maxName {
		return s
	}
	sum := sha256.Sum256([]byte(name))
	return s[:64] + "_z" + hex.EncodeToString(sum[:])
}

// folderOf is the folder of an object below base/ and components/: its namespace,
// a Namespace's own name, or _cluster.
func folderOf(r api.Ref) string {
	switch {
	case r.Namespace != "":
		return dirName(r.Namespace)
	case r.Kind == "Namespace" && r.Group == "":
		return dirName(r.Name)
	}
	return clusterScoped
}

// fileOf is the file of an object in its folder. Kinds of two groups may have the
// same name, and kinds that differ by case would meet; unique tells whether no
// other object of the plan has the same file.
func fileOf(r api.Ref, unique bool) string {
	f := dirName(strings.ToLower(r.Kind)) + "." + fileName(r.Name)
	if !unique {
		sum := sha256.Sum256([]byte(r.Group + "\x00" + r.Kind + "\x00" + r.Namespace + "\x00" + r.Name))
		f += "_h" + hex.EncodeToString(sum[:4])
	}
	return f
}
