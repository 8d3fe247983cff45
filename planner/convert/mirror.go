package convert

import (
	"fmt"
	"math"

	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// mirrors of a rule (facts C-42).
func (c *conversion) mirrors(r *rule, port int32) []*gwv1.HTTPRequestMirrorFilter {
	s := r.Spec
	var out []*gwv1.HTTPRequestMirrorFilter
	add := func(at string, d *networking.Destination, share *float64) {
		if share != nil && (*share < 0 || *share > 100 || math.IsNaN(*share)) {
			c.block(r.Object, at, "C-42", "a percentage is not between 0 and 100", refused)
			return
		}
		if share != nil && *share == 0 {
			c.drop(r.Object, at, "C-42", "it mirrors zero percent")
			return
		}
		ref, ok := c.backend(r.Object, r.Namespace, at, d, port)
		f := &gwv1.HTTPRequestMirrorFilter{BackendRef: ref.BackendObjectReference}
		if share != nil && *share < 100 {
			c.share(r, at, *share, f)
		}
		if ok {
			out = append(out, f)
		}
	}
	//lint:ignore SA1019 mirrorPercent is deprecated, and istiod still reads it
	whole, share := s.GetMirrorPercent(), s.GetMirrorPercentage()
	switch {
	case s.GetMirror() == nil && (whole != nil || share != nil):
		if whole != nil {
			c.drop(r.Object, r.Path+".mirrorPercent", "C-42", "it has no effect without mirror")
		}
		if share != nil {
			c.drop(r.Object, r.Path+".mirrorPercentage", "C-42", "it has no effect without mirror")
		}
	case s.GetMirror() != nil && share != nil:
		v := share.GetValue()
		add(r.Path+".mirror", s.GetMirror(), &v)
		if whole != nil {
			c.drop(r.Object, r.Path+".mirrorPercent", "C-42", "mirrorPercentage takes its place")
		}
	case s.GetMirror() != nil && whole != nil:
		v := float64(whole.GetValue())
		add(r.Path+".mirror", s.GetMirror(), &v)
	case s.GetMirror() != nil:
		add(r.Path+".mirror", s.GetMirror(), nil)
	}
	for i, m := range s.GetMirrors() {
		at := fmt.Sprintf("%s.mirrors[%d]", r.Path, i)
		var v *float64
		if p := m.GetPercentage(); p != nil {
			x := p.GetValue()
			v = &x
		}
		add(at, m.GetDestination(), v)
	}
	return out
}

// share writes a percentage: as a whole number, or as a fraction of the millionths that Envoy counts in.
func (c *conversion) share(r *rule, at string, percent float64, f *gwv1.HTTPRequestMirrorFilter) {
	if !c.cluster.mirrorShare() {
		c.keep(r.Object, at, "C-42", "a mirror with a percentage needs HTTPRoute of the Gateway API 1.3 or later, which is not known to be installed")
		return
	}
	millionths := int32(percent * 10000)
	if percent == math.Trunc(percent) {
		p := int32(percent)
		f.Percent = &p
		return
	}
	const denominator = int32(1000000)
	d := denominator
	if back := 100 * float64(millionths) / float64(denominator); millionths == 0 || int32(back*10000) != millionths {
		c.keep(r.Object, at, "C-42", fmt.Sprintf("%v percent cannot be written as a fraction that gives the same share", percent))
		return
	}
	f.Fraction = &gwv1.Fraction{Numerator: millionths, Denominator: &d}
}
