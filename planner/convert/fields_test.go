package convert_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	networking "istio.io/api/networking/v1alpha3"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
	"github.com/ambientplan/ambientplan/mesh"
	"github.com/ambientplan/ambientplan/planner/convert"
)

// TestEveryField sets each field that a VirtualService has, by the descriptors of its protocol buffers, one at a time
// in rules that convert, and asks that the conversion takes notice: other objects, a reason, or a note that the field
// is dropped. A field that a later version of the API brings fails here until the converter knows it.
func TestEveryField(t *testing.T) {
	bases := []string{
		`http: [{route: [{destination: {host: reviews}}]}]`,
		`http: [{match: [{uri: {exact: /x}}], route: [{destination: {host: reviews}}], rewrite: {authority: a.example.com}}, {route: [{destination: {host: reviews}}]}]`,
		`http: [{match: [{uri: {exact: /x}}], redirect: {authority: a.example.com}}]`,
		`http: [{route: [{destination: {host: reviews}}], retries: {attempts: 2, retryOn: "unavailable,cancelled,connect-failure,refused-stream"}, mirror: {host: ratings}}]`,
		`http: [{route: [{destination: {host: reviews}}], mirrors: [{destination: {host: ratings}}]}]`,
		`http: [{route: [{destination: {host: reviews}, headers: {request: {}, response: {}}}], headers: {request: {}, response: {}}}]`,
		`http: [{route: [{destination: {host: reviews}}], corsPolicy: {allowOrigins: [{exact: "https://a.example.com"}], maxAge: 5s, unmatchedPreflights: IGNORE}}]`,
		`http: [{route: [{destination: {host: reviews}}], fault: {delay: {fixedDelay: 1s, percentage: {value: 1}}, abort: {httpStatus: 500, percentage: {value: 1}}}}]`,
		`tcp: [{match: [{port: 80}], route: [{destination: {host: db}}]}]`,
		`tls: [{match: [{sniHosts: [secure.shop.svc.cluster.local]}], route: [{destination: {host: secure}}]}]`,
	}
	hosts := func(base string) string {
		switch {
		case strings.HasPrefix(base, "tcp"):
			return "db"
		case strings.HasPrefix(base, "tls"):
			return "secure"
		}
		return "reviews"
	}
	inv := read(t, shop).Inventory()
	noticed := map[protoreflect.FullName]bool{}
	fields := map[protoreflect.FullName]bool{}
	collect((&networking.VirtualService{}).ProtoReflect().Descriptor(), fields)
	for _, base := range bases {
		spec := read(t, shop+virtualService(hosts(base), "  "+base)).VirtualServices()[0].Spec
		each(spec.ProtoReflect().Descriptor(), nil, func(way []protoreflect.FieldDescriptor, fd protoreflect.FieldDescriptor) {
			changed := proto.Clone(spec).(*networking.VirtualService)
			m := changed.ProtoReflect()
			for _, step := range way {
				m = child(m, step)
			}
			// The message that the field is in may be one that was made for it: that alone does not count.
			without := outcome(t, inv, changed)
			set(m, fd)
			if outcome(t, inv, changed) != without {
				noticed[fd.FullName()] = true
			}
		})
	}
	for f := range fields {
		if why, ok := unnoticed[f]; ok {
			if noticed[f] {
				t.Errorf("%s is noticed and still in the list of those that are not: %s", f, why)
			}
			continue
		}
		if !noticed[f] {
			t.Errorf("%s can be set without any effect on the conversion", f)
		}
	}
}

// unnoticed are fields that change nothing about a conversion that they could change, each with the reason.
var unnoticed = map[protoreflect.FullName]string{
	"istio.networking.v1alpha3.Headers.response":                           "an empty one says nothing; its fields are noticed",
	"istio.networking.v1alpha3.Headers.request":                            "an empty one says nothing; its fields are noticed",
	"istio.networking.v1alpha3.HTTPRoute.headers":                          "an empty one says nothing; its fields are noticed",
	"istio.networking.v1alpha3.HTTPRouteDestination.headers":               "an empty one says nothing; its fields are noticed",
	"istio.networking.v1alpha3.HTTPRouteDestination.destination":           "all rules here have one; its fields are noticed",
	"istio.networking.v1alpha3.RouteDestination.destination":               "all rules here have one; its fields are noticed",
	"istio.networking.v1alpha3.HTTPMirrorPolicy.destination":               "all rules here have one; its fields are noticed",
	"istio.networking.v1alpha3.HTTPFaultInjection.Delay.percent":           "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Delay.percentage":        "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Delay.fixed_delay":       "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Delay.exponential_delay": "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Abort.http_status":       "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Abort.grpc_status":       "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Abort.http2_error":       "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.Abort.percentage":        "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.abort":                   "any fault is kept",
	"istio.networking.v1alpha3.HTTPFaultInjection.delay":                   "any fault is kept",
	"istio.networking.v1alpha3.HTTPDirectResponse.status":                  "any direct response is kept",
	"istio.networking.v1alpha3.HTTPDirectResponse.body":                    "any direct response is kept",
	"istio.networking.v1alpha3.HTTPBody.string":                            "any direct response is kept",
	"istio.networking.v1alpha3.HTTPBody.bytes":                             "any direct response is kept",
	"istio.networking.v1alpha3.RegexRewrite.match":                         "any rewrite by a regular expression is kept",
	"istio.networking.v1alpha3.RegexRewrite.rewrite":                       "any rewrite by a regular expression is kept",
	"istio.networking.v1alpha3.Delegate.name":                              "any delegate that is not there blocks",
	"istio.networking.v1alpha3.Delegate.namespace":                         "any delegate that is not there blocks",
}

// outcome of a conversion as text.
func outcome(t *testing.T, inv *api.Inventory, spec *networking.VirtualService) string {
	t.Helper()
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{}
	if err := json.Unmarshal(b, &content); err != nil {
		t.Fatal(err)
	}
	with := *inv
	with.Objects = append(slices.Clone(inv.Objects), api.Object{APIVersion: "networking.istio.io/v1", Kind: "VirtualService", Namespace: "shop", Name: "vs", Content: api.Content{"spec": content}})
	st, unknowns := mesh.New(&with)
	if len(unknowns) > 0 {
		t.Fatal(unknowns)
	}
	r := convert.All(st, newest())
	for i := range r.VirtualServices {
		r.VirtualServices[i].Rest = nil // it has every field of the VirtualService by itself
	}
	return fmt.Sprintf("%+v", r)
}

// collect lists the fields of a message and of the messages of Istio below it.
func collect(d protoreflect.MessageDescriptor, into map[protoreflect.FullName]bool) {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if into[f.FullName()] {
			continue
		}
		if m := f.Message(); m != nil && m.IsMapEntry() {
			into[f.FullName()] = true
			if v := m.Fields().ByNumber(2).Message(); v != nil && strings.HasPrefix(string(v.FullName()), "istio.") {
				collect(v, into)
			}
			continue
		}
		into[f.FullName()] = true
		if m := f.Message(); m != nil && strings.HasPrefix(string(m.FullName()), "istio.") {
			collect(m, into)
		}
	}
}

// each calls f for every field of a message and of those below it, with the way to it.
func each(d protoreflect.MessageDescriptor, way []protoreflect.FieldDescriptor, f func(way []protoreflect.FieldDescriptor, fd protoreflect.FieldDescriptor)) {
	for i := range d.Fields().Len() {
		fd := d.Fields().Get(i)
		f(way, fd)
		inner := fd.Message()
		if fd.IsMap() {
			inner = fd.MapValue().Message()
		}
		if inner != nil && strings.HasPrefix(string(inner.FullName()), "istio.") && !slices.Contains(way, fd) {
			each(inner, append(slices.Clone(way), fd), f)
		}
	}
}

// child is the message in a field: the first of a list, the value of a map, or a new one.
func child(m protoreflect.Message, fd protoreflect.FieldDescriptor) protoreflect.Message {
	switch {
	case fd.IsMap():
		mp := m.Mutable(fd).Map()
		key := protoreflect.ValueOfString("x-key").MapKey()
		v := mp.NewValue()
		mp.Set(key, v)
		return v.Message()
	case fd.IsList():
		l := m.Mutable(fd).List()
		if l.Len() == 0 {
			l.Append(l.NewElement())
		}
		return l.Get(0).Message()
	default:
		return m.Mutable(fd).Message()
	}
}

// set gives a field a value that is not its zero value.
func set(m protoreflect.Message, fd protoreflect.FieldDescriptor) {
	switch {
	case fd.IsMap():
		mp := m.Mutable(fd).Map()
		v := mp.NewValue()
		if fd.MapValue().Message() == nil {
			v = protoreflect.ValueOfString("a-value")
		}
		mp.Set(protoreflect.ValueOfString("x-key").MapKey(), v)
	case fd.IsList():
		l := m.Mutable(fd).List()
		if fd.Message() != nil {
			l.Append(l.NewElement())
		} else {
			l.Append(value(fd))
		}
	case fd.Message() != nil:
		inner := m.Mutable(fd).Message()
		if v := fd.Message().Fields().ByName("value"); v != nil && v.Message() == nil {
			inner.Set(v, value(v))
		}
		if v := fd.Message().Fields().ByName("seconds"); v != nil {
			inner.Set(v, protoreflect.ValueOfInt64(3))
		}
	default:
		m.Set(fd, value(fd))
	}
}

func value(fd protoreflect.FieldDescriptor) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(7)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(7)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(7)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("x"))
	}
	return protoreflect.ValueOfString("ratings")
}
