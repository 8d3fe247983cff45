package convert

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	networking "istio.io/api/networking/v1alpha3"
	gwv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// timeouts writes timeouts and retries (facts C-37 to C-41).
func (c *conversion) timeouts(r *rule, out *gwv1.HTTPRouteRule) {
	s := r.Spec
	var t gwv1.HTTPRouteTimeouts
	if s.GetTimeout() != nil {
		t.Request = c.duration(r, "timeout", "C-37", s.GetTimeout())
	}
	if p := s.GetRetries(); p != nil {
		out.Retry = c.retry(r, p)
		if p.GetPerTryTimeout() != nil && p.GetAttempts() > 0 {
			t.BackendRequest = c.duration(r, "retries.perTryTimeout", "C-39", p.GetPerTryTimeout())
			limit := s.GetTimeout().AsDuration()
			if try := p.GetPerTryTimeout().AsDuration(); limit > 0 && try > limit {
				c.keep(r.Object, r.Path+".retries.perTryTimeout", "C-39", "it is longer than the timeout of the request, which a route does not take")
			} else if try == 0 {
				c.keep(r.Object, r.Path+".retries.perTryTimeout", "C-39", "it is zero, which a route does not pass on")
			}
		}
	}
	if t != (gwv1.HTTPRouteTimeouts{}) {
		if !c.cluster.timeouts() {
			c.keep(r.Object, r.Path+".timeout", "C-37", "timeouts need HTTPRoute of the Gateway API 1.2 or later, which is not known to be installed")
		}
		out.Timeouts = &t
	}
}

// sameRetryOn is what istiod retries on for every HTTPRoute with retry (conversion.go, convertHTTPRoute).
var sameRetryOn = []string{"cancelled", "connect-failure", "refused-stream", "unavailable"}

// retry writes a retry policy. Without retries both take the mesh's default.
func (c *conversion) retry(r *rule, p *networking.HTTPRetry) *gwv1.HTTPRouteRetry {
	at := r.Path + ".retries"
	keep := func(field, fact, why string) { c.keep(r.Object, at+field, fact, why) }
	attempts := int(p.GetAttempts())
	switch {
	case attempts < 0:
		c.block(r.Object, at+".attempts", "C-38", "the number of attempts is negative", refused)
	case attempts == 0 && (p.GetPerTryTimeout() != nil || p.GetRetryOn() != "" || p.GetRetryRemoteLocalities() != nil):
		c.block(r.Object, at, "C-38", "retries are switched off by attempts: 0 and set up all the same", refused)
	case !c.cluster.retry():
		keep("", "C-38", "retry needs HTTPRoute of the Gateway API 1.7 or later, or of the experimental channel, which is not known to be installed")
	case attempts == 0 && !c.cluster.noAttempts():
		keep(".attempts", "C-38", "retries are switched off, and the installed HTTPRoute asks for one attempt or more")
	}
	out := &gwv1.HTTPRouteRetry{Attempts: &attempts}
	if p.GetRetryRemoteLocalities() != nil {
		if p.GetRetryRemoteLocalities().GetValue() {
			keep(".retryRemoteLocalities", "C-41", "no route retries in other localities")
		} else {
			c.drop(r.Object, at+".retryRemoteLocalities", "C-41", "it is switched off without it too")
		}
	}
	if p.GetRetryIgnorePreviousHosts() != nil {
		keep(".retryIgnorePreviousHosts", "C-41", "no route chooses whether retries may go to the same pod")
	}
	if b := p.GetBackoff(); b != nil && attempts > 0 {
		out.Backoff = c.duration(r, "retries.backoff", "C-41", b)
		if b.AsDuration() == 0 {
			keep(".backoff", "C-41", "it is zero, which Envoy does not take")
		}
	} else if b != nil {
		c.drop(r.Object, at+".backoff", "C-41", "it has no effect without attempts")
	}
	switch {
	case attempts <= 0:
	case p.GetRetryOn() == "":
		keep(".retryOn", "C-40", namesCodes)
	default:
		c.retryOn(r, p.GetRetryOn(), out)
	}
	return out
}

// namesCodes is why retries without retryOn stay: Envoy then takes status codes from a header of the request.
// Source: pilot/pkg/networking/core/route/retry/retry.go (defaultRetryOn).
const namesCodes = "without retryOn, requests may also name the status codes to retry on, in the header x-envoy-retriable-status-codes; a route does not let them. " +
	"Let retryOn be connect-failure,refused-stream,unavailable,cancelled if nobody does"

// retryOn writes what is retried: a route names status codes, and the rest is always the same (facts C-40).
func (c *conversion) retryOn(r *rule, list string, out *gwv1.HTTPRouteRetry) {
	at := r.Path + ".retries.retryOn"
	var rest []string
	codes, named := map[int]bool{}, false
	for _, part := range strings.Split(list, ",") {
		part = strings.TrimSpace(part)
		if n, err := strconv.Atoi(part); err == nil {
			if n < 400 || n > 599 {
				c.keep(r.Object, at, "C-40", fmt.Sprintf("a route retries on codes 400 to 599, not %d", n))
			}
			codes[n] = true
			continue
		}
		if part == "retriable-status-codes" {
			named = true
		} else if part != "" {
			rest = append(rest, part)
		}
	}
	if named && len(codes) == 0 {
		c.keep(r.Object, at, "C-40", namesCodes)
	}
	slices.Sort(rest)
	if rest = slices.Compact(rest); !slices.Equal(rest, sameRetryOn) {
		c.keep(r.Object, at, "C-40", fmt.Sprintf("a route always retries on %s, and on nothing else but status codes", strings.Join(sameRetryOn, ", ")))
	}
	for _, n := range slices.Sorted(maps.Keys(codes)) {
		out.Codes = append(out.Codes, gwv1.HTTPRouteRetryStatusCode(n))
	}
}

// duration writes a time as the Gateway API does: whole milliseconds, up to four numbers of five digits.
func (c *conversion) duration(r *rule, field, fact string, in *durationpb.Duration) *gwv1.Duration {
	d := in.AsDuration()
	if !in.IsValid() || d < 0 {
		c.block(r.Object, r.Path+"."+field, fact, "a time is negative or too long", refused)
		return nil
	}
	if d%time.Millisecond != 0 || d >= 100000*time.Hour {
		c.keep(r.Object, r.Path+"."+field, fact, fmt.Sprintf("a route takes whole milliseconds, not %v", d))
		return nil
	}
	text := ""
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if n := d / u.unit; n > 0 {
			text += fmt.Sprintf("%d%s", n, u.name)
			d -= n * u.unit
		}
	}
	if text == "" {
		text = "0s"
	}
	out := gwv1.Duration(text)
	return &out
}
