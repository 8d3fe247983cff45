package inventory

import (
	"bytes"
	"encoding/json"
	"strings"
)

// identity is what a document says it is, read without parsing it: enough to
// skip what does not concern the mesh and to name what cannot be parsed.
type identity struct {
	apiVersion, kind, namespace, name string
	// sure is false when the text holds something that a scan cannot be sure of.
	sure bool
}

// sniff scans the top-level fields of a document.
func sniff(data []byte) identity {
	t := bytes.TrimLeft(data, " \t\r\n")
	if len(t) > 0 && t[0] == '{' && !bytes.HasPrefix(t, []byte("{{")) {
		return sniffJSON(t)
	}
	return sniffYAML(data)
}

func sniffJSON(data []byte) identity {
	var h struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return identity{apiVersion: jsonString(data, "apiVersion"), kind: jsonString(data, "kind"), name: jsonString(data, "name"), namespace: jsonString(data, "namespace")}
	}
	return identity{h.APIVersion, h.Kind, h.Metadata.Namespace, h.Metadata.Name, h.APIVersion != "" && h.Kind != ""}
}

// jsonString finds the first value of a key in text that does not parse.
func jsonString(data []byte, key string) string {
	_, rest, ok := bytes.Cut(data, []byte(`"`+key+`"`))
	if !ok {
		return ""
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":"))
	if !ok {
		return ""
	}
	rest, ok = bytes.CutPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(`"`))
	if !ok {
		return ""
	}
	v, _, _ := bytes.Cut(rest, []byte(`"`))
	return plain(string(v))
}

// sniffYAML reads the keys at the least indentation, and name and namespace below metadata.
func sniffYAML(data []byte) identity {
	id := identity{sure: true}
	base, inMeta, metaIndent := -1, false, -1
	seen := map[string]bool{}
	for len(data) > 0 {
		line := firstLine(data)
		data = data[min(len(data), len(line)+1):]
		t := bytes.TrimLeft(line, " ")
		in := len(line) - len(t)
		if len(bytes.TrimSpace(t)) == 0 || t[0] == '#' {
			continue
		}
		if t[0] == '\t' || bytes.HasPrefix(t, []byte("{{")) || bytes.HasPrefix(t, []byte("<<:")) || t[0] == '?' {
			id.sure = false
			continue
		}
		if base < 0 {
			base = in
		}
		key, value, ok := strings.Cut(string(t[:min(len(t), 1024)]), ":")
		key = strings.Trim(key, `"'`)
		switch {
		case in < base:
			id.sure = false
		case in == base:
			inMeta, metaIndent = ok && key == "metadata", -1
			if inMeta && strings.TrimSpace(value) != "" {
				id.sure = false
			}
			if !ok || key != "kind" && key != "apiVersion" {
				continue
			}
			if seen[key] {
				id.sure = false
			}
			seen[key] = true
			if key == "kind" {
				id.kind = plain(value)
			} else {
				id.apiVersion = plain(value)
			}
		case inMeta:
			if metaIndent < 0 {
				metaIndent = in
			}
			if in == metaIndent && ok && key == "name" && id.name == "" {
				id.name = plain(value)
			}
			if in == metaIndent && ok && key == "namespace" && id.namespace == "" {
				id.namespace = plain(value)
			}
		}
	}
	id.sure = id.sure && id.kind != "" && id.apiVersion != ""
	return id
}

// plain is the value of a scalar that needs no parser, else "".
func plain(v string) string {
	v = strings.TrimSpace(v)
	if i := strings.Index(v, " #"); i >= 0 {
		v = strings.TrimSpace(v[:i])
	}
	v = strings.Trim(v, `"'`)
	if len(v) > 253 {
		return ""
	}
	for _, r := range v {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '/', r == '_':
		default:
			return ""
		}
	}
	return v
}
