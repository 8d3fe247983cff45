package v1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	sjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// UnmarshalJSON keeps integers as int64, as the API machinery does.
func (c *Content) UnmarshalJSON(b []byte) error {
	m := map[string]any{}
	if err := sjson.UnmarshalCaseSensitivePreserveInts(b, &m); err != nil {
		return err
	}
	*c = m
	return nil
}

// Decode reads one document strictly: an unknown or repeated field is an error
// that names file and line. name is what errors call the input.
func Decode[T any](name string, r io.Reader) (*T, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	v := new(T)
	if err := yaml.UnmarshalStrict(b, v); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return v, nil
}

// Encode writes a document as YAML with a stable order of fields.
func Encode(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	y, err := yaml.JSONToYAML(b)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, bytes.NewReader(y))
	return err
}
