package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
)

// attempts is how often a request is made before its error counts.
const attempts = 5

// retry repeats what fails for a reason that may pass, with growing waits. What the API
// server asks to wait counts.
func (c *Client) retry(ctx context.Context, f func() error) error {
	wait := c.options.Backoff
	for i := 1; ; i++ {
		err := f()
		if err == nil || i == attempts || !passing(err) {
			return err
		}
		pause := max(wait, c.asked())
		if s, ok := apierrors.SuggestsClientDelay(err); ok {
			pause = max(pause, min(time.Duration(s)*time.Second, longestWait))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		wait *= 2
	}
}

// passing tells whether an error may be gone a moment later.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
	}
	return broken(err)
}

// broken tells whether the connection failed, and not the request.
func broken(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	var timeout net.Error
	var op *net.OpError
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &timeout) && timeout.Timeout() || errors.As(err, &op)
}

// transport tells whether an error says that there is no way to the API server, or that
// it does not know who asks; then no kind can be read.
func transport(err error) bool {
	var u *url.Error
	return apierrors.IsUnauthorized(err) || broken(err) || errors.As(err, &u)
}
