package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	api "github.com/ambientplan/ambientplan/api/v1alpha1"
)

// restarts is how often a list begins anew whose continuation the API server has
// forgotten.
const restarts = 3

// bigPage is the page of kinds whose objects are large.
const bigPage = 50

// Listing is how a list of one kind went.
type Listing struct {
	// State is Complete, Absent, Forbidden or NotKnown; Reason says why in words.
	State  api.CoverageState
	Reason string
	// Count of objects handed over.
	Count int
	// ResourceVersion of the first page; lists of several kinds are never of one.
	ResourceVersion string
}

// List hands over every object of a kind in all namespaces, status included, page by
// page; nothing of a page is kept. An object that is there all the while comes exactly
// once, also when the list has to begin anew because it took longer than the API server
// keeps it. Pods come without volumes, environment and the like: see slim.
//
// A kind that is refused, not served or cannot be listed is no error but a state of the
// Listing. An error of each ends the list. No answer at all is an *UnreachableError.
func (c *Client) List(ctx context.Context, k api.KindInfo, each func(api.Content) error) (Listing, error) {
	r, err := c.find(ctx)
	if err != nil {
		return Listing{}, err
	}
	s, state, why := r.lookup(k)
	if state != api.CoverageUnset {
		return Listing{State: state, Reason: why}, nil
	}
	return c.list(ctx, s.gvr, k, metav1.ListOptions{}, each)
}

// ConfigMaps hands over the ConfigMaps of one name in all namespaces. A role with this
// name among its resourceNames is enough.
func (c *Client) ConfigMaps(ctx context.Context, name string, each func(api.Content) error) (Listing, error) {
	k := api.KindInfo{Kind: "ConfigMap", Resource: "configmaps"}
	return c.list(ctx, schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, k, metav1.ListOptions{FieldSelector: "metadata.name=" + name}, each)
}

// list goes through the pages.
func (c *Client) list(ctx context.Context, gvr schema.GroupVersionResource, k api.KindInfo, o metav1.ListOptions, each func(api.Content) error) (Listing, error) {
	l := &lister{c: c, gvr: gvr, gvk: gvr.GroupVersion().WithKind(k.Kind), seen: map[types.UID]bool{}, each: each}
	var err error
	if l.rest, err = c.restFor(l.gvk); err != nil {
		return Listing{}, err
	}
	o.Limit = c.options.Page
	if k.Kind == "CustomResourceDefinition" {
		o.Limit = min(o.Limit, bigPage)
	}
	for begun := 0; ; {
		next, err := l.page(ctx, o)
		switch {
		case err == nil && next == "":
			l.out.State = api.Complete
			if l.out.Count == 0 {
				l.out.State = api.Absent
			}
			return l.out, nil
		case err == nil:
			o.Continue = next
		case errors.As(err, new(*consumerError)):
			return l.out, errors.Unwrap(err)
		case ctx.Err() != nil:
			return l.out, ctx.Err()
		case apierrors.IsResourceExpired(err) || apierrors.IsGone(err):
			if begun++; begun > restarts {
				l.out.State, l.out.Reason = api.NotKnown, fmt.Sprintf("the list took longer than the API server keeps it, %d times: %v", begun, err)
				return l.out, nil
			}
			o.Continue = ""
		default:
			return l.refused(err)
		}
	}
}

// refused makes a state of an error, or an error where no kind could be read.
func (l *lister) refused(err error) (Listing, error) {
	switch {
	case apierrors.IsForbidden(err):
		l.out.State, l.out.Reason = api.Forbidden, reasonOf(err)
	case apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
		// Discovery named it: it has gone since, or its server is not there.
		l.out.State, l.out.Reason = api.NotKnown, reasonOf(err)
	case transport(err):
		return l.out, l.c.unreachable(err)
	default:
		l.out.State, l.out.Reason = api.NotKnown, reasonOf(err)
	}
	return l.out, nil
}

// reasonOf is an error as one line.
func reasonOf(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// consumerError is an error of who the objects are for.
type consumerError struct{ err error }

func (e *consumerError) Error() string { return e.err.Error() }
func (e *consumerError) Unwrap() error { return e.err }

type lister struct {
	c    *Client
	rest *rest.RESTClient
	gvr  schema.GroupVersionResource
	gvk  schema.GroupVersionKind
	seen map[types.UID]bool
	each func(api.Content) error
	out  Listing
}

// page reads one page and hands its objects over; next is how to go on.
func (l *lister) page(ctx context.Context, o metav1.ListOptions) (next string, err error) {
	var items []runtime.Object
	err = l.c.retry(ctx, func() error {
		var m metav1.ListInterface
		var err error
		if builtIn(l.gvk) {
			items, m, err = l.typed(ctx, o)
		} else {
			return l.untyped(ctx, o, &items, &next)
		}
		if err == nil {
			next = m.GetContinue()
			l.version(m.GetResourceVersion())
		}
		return err
	})
	if err != nil {
		return "", err
	}
	for _, item := range items {
		if err := l.hand(item); err != nil {
			return "", err
		}
	}
	return next, nil
}

func (l *lister) version(v string) {
	if l.out.ResourceVersion == "" {
		l.out.ResourceVersion = v
	}
}

// request is a list of the kind. Whether it is made again is decided by retry.
func (l *lister) request(o metav1.ListOptions) *rest.Request {
	r := l.rest.Get().Resource(l.gvr.Resource).MaxRetries(0).Param("limit", strconv.FormatInt(o.Limit, 10))
	if o.Continue != "" {
		r = r.Param("continue", o.Continue)
	}
	if o.FieldSelector != "" {
		r = r.Param("fieldSelector", o.FieldSelector)
	}
	return r
}

// typed reads a page of a kind that Kubernetes itself has, as protobuf.
func (l *lister) typed(ctx context.Context, o metav1.ListOptions) ([]runtime.Object, metav1.ListInterface, error) {
	list, err := scheme.Scheme.New(l.gvk.GroupVersion().WithKind(l.gvk.Kind + "List"))
	if err != nil {
		return nil, nil, err
	}
	if err := l.request(o).Do(ctx).Into(list); err != nil {
		return nil, nil, err
	}
	m, err := meta.ListAccessor(list)
	if err != nil {
		return nil, nil, err
	}
	items, err := meta.ExtractList(list)
	return items, m, err
}

// rawObject is an object of a custom kind on its way.
type rawObject struct {
	runtime.Object
	content map[string]any
}

// untyped reads a page of any other kind, as JSON.
func (l *lister) untyped(ctx context.Context, o metav1.ListOptions, items *[]runtime.Object, next *string) error {
	answer := l.request(o).Do(ctx)
	if err := answer.Error(); err != nil { // Raw would give its code only
		return err
	}
	body, err := answer.Raw()
	if err != nil {
		return err
	}
	var page struct {
		Kind     string          `json:"kind"`
		Metadata metav1.ListMeta `json:"metadata"`
		Items    []any           `json:"items"`
	}
	if err := utiljson.Unmarshal(body, &page); err != nil {
		return fmt.Errorf("the answer is no list: %w", err)
	}
	if !strings.HasSuffix(page.Kind, "List") {
		return fmt.Errorf("the answer is no list of %s, but %q", l.gvk.Kind, page.Kind)
	}
	*items, *next = (*items)[:0], page.Metadata.Continue
	l.version(page.Metadata.ResourceVersion)
	for _, v := range page.Items {
		m, ok := v.(map[string]any)
		if !ok {
			return fmt.Errorf("an item of the list of %s is no object", l.gvk.Kind)
		}
		*items = append(*items, &rawObject{content: m})
	}
	return nil
}

// hand gives one object away, unless it came before.
func (l *lister) hand(item runtime.Object) error {
	var content map[string]any
	if raw, ok := item.(*rawObject); ok {
		content = raw.content
	} else {
		slim(item)
		var err error
		if content, err = runtime.DefaultUnstructuredConverter.ToUnstructured(item); err != nil {
			return fmt.Errorf("%s: %w", l.gvk.Kind, err)
		}
	}
	metadata, _ := content["metadata"].(map[string]any)
	uid, _ := metadata["uid"].(string)
	if uid != "" {
		if l.seen[types.UID(uid)] {
			return nil
		}
		l.seen[types.UID(uid)] = true
	}
	content["apiVersion"], content["kind"] = l.gvk.GroupVersion().String(), l.gvk.Kind
	l.out.Count++
	if err := l.each(api.Content(content)); err != nil {
		return &consumerError{err}
	}
	return nil
}

// builtIn tells whether the kind has Go types, and so a form as protobuf.
func builtIn(gvk schema.GroupVersionKind) bool {
	return scheme.Scheme.Recognizes(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
}

// restFor is a client for one group and version.
func (c *Client) restFor(gvk schema.GroupVersionKind) (*rest.RESTClient, error) {
	cfg := rest.CopyConfig(c.config)
	gv := gvk.GroupVersion()
	cfg.GroupVersion = &gv
	cfg.APIPath = "/apis"
	if gv.Group == "" {
		cfg.APIPath = "/api"
	}
	cfg.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	if builtIn(gvk) {
		cfg.AcceptContentTypes, cfg.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	}
	cfg.RateLimiter = c.limiter
	return rest.RESTClientForConfigAndClient(cfg, c.http)
}
