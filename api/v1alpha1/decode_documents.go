package v1alpha1

import "io"

// DecodeNeeds reads a FeatureNeeds document, sets File and Lines, and validates it.
func DecodeNeeds(name string, r io.Reader) (*FeatureNeeds, error) {
	v := new(FeatureNeeds)
	lines, err := decode(name, r, v, true)
	if err != nil {
		return nil, err
	}
	v.File, v.Lines = name, lines
	return v, nil
}

// DecodePolicy reads a MigrationPolicy document, sets File and Lines, and validates it.
func DecodePolicy(name string, r io.Reader) (*MigrationPolicy, error) {
	v := new(MigrationPolicy)
	lines, err := decode(name, r, v, true)
	if err != nil {
		return nil, err
	}
	v.File, v.Lines = name, lines
	return v, nil
}
