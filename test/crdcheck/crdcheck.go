// Package crdcheck validates custom resources as a kube-apiserver does on create, with the API server's own
// packages but without a server: names and metadata, unknown fields, defaults, the structural schema, list
// types and CEL rules. It is what an ordinary test run can afford on every object that we render.
//
// It is not all of Istio's validation: istiod's webhook refuses objects that the CRDs admit (a VirtualService
// with weights 60 and -10, for one).
//
// The package is a module of its own, because the API server's packages must not enter the product's go.mod.
package crdcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/yaml"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// servedVersion is one version of one CRD, compiled.
type servedVersion struct {
	namespaced bool
	structural *structural.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

// Checker knows the served versions of a set of CRDs. Its zero value knows none.
type Checker struct {
	versions map[schema.GroupVersionKind]servedVersion
}

// Load reads CRDs from YAML files, or from the *.yaml files right in a directory. Documents of other kinds are
// passed over; a path that holds no CRD is an error, since a Checker that knows nothing finds nothing wrong.
func Load(paths ...string) (*Checker, error) {
	c := &Checker{versions: map[schema.GroupVersionKind]servedVersion{}}
	for _, p := range paths {
		files, err := yamlFiles(p)
		if err != nil {
			return nil, fmt.Errorf("crdcheck: %w", err)
		}
		before := len(c.versions)
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("crdcheck: %w", err)
			}
			if err := c.add(data); err != nil {
				return nil, fmt.Errorf("crdcheck: %s: %w", f, err)
			}
		}
		if len(c.versions) == before {
			return nil, fmt.Errorf("crdcheck: no new CustomResourceDefinition in %s", p)
		}
	}
	return c, nil
}

func yamlFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	return filepath.Glob(filepath.Join(path, "*.yaml"))
}

// add compiles the CRDs of one multi-document file.
func (c *Checker) add(data []byte) error {
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		crd := &apiextv1.CustomResourceDefinition{}
		err := d.Decode(crd)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		if err := c.addCRD(crd); err != nil {
			return fmt.Errorf("CustomResourceDefinition %s: %w", crd.Name, err)
		}
	}
}

func (c *Checker) addCRD(v1 *apiextv1.CustomResourceDefinition) error {
	crd := &apiextensions.CustomResourceDefinition{}
	if err := apiextv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(v1, crd, nil); err != nil {
		return err
	}
	for _, v := range crd.Spec.Versions {
		declared := crd.Spec.Validation // set by the conversion when all versions share one schema
		if v.Schema != nil {
			declared = v.Schema
		}
		if !v.Served || declared == nil {
			continue
		}
		s, err := structural.NewStructural(declared.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		sv, _, err := validation.NewSchemaValidator(declared.OpenAPIV3Schema)
		if err != nil {
			return err
		}
		gvk := schema.GroupVersionKind{Group: crd.Spec.Group, Version: v.Name, Kind: crd.Spec.Names.Kind}
		c.versions[gvk] = servedVersion{
			namespaced: crd.Spec.Scope == apiextensions.NamespaceScoped,
			structural: s,
			schema:     sv,
			cel:        cel.NewValidator(s, true, celconfig.PerCallLimit),
		}
	}
	return nil
}

// Known reports whether a CRD that serves the version was loaded.
func (c *Checker) Known(gvk schema.GroupVersionKind) bool {
	_, ok := c.versions[gvk]
	return ok
}

// Kinds returns the served versions, sorted.
func (c *Checker) Kinds() []schema.GroupVersionKind {
	kinds := make([]schema.GroupVersionKind, 0, len(c.versions))
	for gvk := range c.versions {
		kinds = append(kinds, gvk)
	}
	slices.SortFunc(kinds, func(a, b schema.GroupVersionKind) int { return bytes.Compare([]byte(a.String()), []byte(b.String())) })
	return kinds
}

// Check validates one object as on create, and does not change it. Unknown fields are errors, as with
// strict field validation. An object of a namespaced kind must name its namespace: without one it would land
// wherever the user's kubectl points. CEL rules are evaluated only on what the schema admits.
func (c *Checker) Check(u *unstructured.Unstructured) error {
	v, ok := c.versions[u.GroupVersionKind()]
	if !ok {
		return fmt.Errorf("no CRD is loaded for %s", u.GroupVersionKind())
	}
	obj, err := overTheWire(u)
	if err != nil {
		return fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	errs := checkMetadata(obj, v.namespaced)
	for _, p := range pruning.PruneWithOptions(obj, v.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		errs = append(errs, field.Forbidden(field.NewPath(p), "unknown field"))
	}
	defaulting.Default(obj, v.structural)
	errs = append(errs, validation.ValidateCustomResource(nil, obj, v.schema)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, v.structural, obj)...)
	if v.cel != nil && len(errs) == 0 {
		celErrs, _ := v.cel.Validate(context.Background(), nil, v.structural, obj, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, celErrs...)
	}
	if err := errs.ToAggregate(); err != nil {
		return fmt.Errorf("%s %s/%s: %w", u.GetKind(), u.GetNamespace(), u.GetName(), err)
	}
	return nil
}

// overTheWire returns a copy of u with the types that an API server sees after decoding: YAML readers give a
// whole number as float64 or int, on which CEL rules fail.
func overTheWire(u *unstructured.Unstructured) (map[string]any, error) {
	data, err := u.MarshalJSON()
	if err != nil {
		return nil, err
	}
	decoded := &unstructured.Unstructured{}
	if err := decoded.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	return decoded.Object, nil
}

// checkMetadata decodes metadata strictly and validates it. The structural schema leaves metadata out.
func checkMetadata(obj map[string]any, namespaced bool) field.ErrorList {
	path := field.NewPath("metadata")
	raw, ok := obj["metadata"].(map[string]any)
	if !ok {
		return field.ErrorList{field.Required(path, "an object with at least a name")}
	}
	meta := &metav1.ObjectMeta{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(raw, meta, true); err != nil {
		return field.ErrorList{field.Invalid(path, raw, err.Error())}
	}
	return apivalidation.ValidateObjectMeta(meta, namespaced, apivalidation.NameIsDNSSubdomain, path)
}
