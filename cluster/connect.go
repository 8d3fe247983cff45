package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"
)

// Requests a second that one client makes, and how many at once: well below what an API
// server gives one user by its default priorities.
const (
	defaultQPS   = 50
	defaultBurst = 100
)

// Options say which cluster is read, and how patiently.
type Options struct {
	// Kubeconfig is a file; "" is what kubectl would take: $KUBECONFIG, ~/.kube/config, or
	// the service account of the pod that this runs in.
	Kubeconfig string
	// Context of the kubeconfig; "" is the current one.
	Context string
	// Impersonate is a user to act as; "" is oneself.
	Impersonate string
	// Backoff is the wait after the first failure, doubled each time; 0 means 500 ms.
	Backoff time.Duration
	// Timeout of one request; 0 means a minute.
	Timeout time.Duration
	// Page is how many objects one request asks for; 0 means 500.
	Page int64
}

// Client reads one cluster.
type Client struct {
	name    string
	host    string
	config  *rest.Config
	http    *http.Client
	options Options
	// limiter is one for all kinds.
	limiter flowcontrol.RateLimiter

	discover  discovery.DiscoveryInterface
	once      sync.Once
	resources *resources
	failed    error

	mu    sync.Mutex
	calls int
	// after is how long the API server last asked to wait.
	after time.Duration
}

// UnreachableError is a cluster that gave no answer, or none to this user.
type UnreachableError struct {
	Context, Server string
	Err             error
}

// Error names context and server.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cluster %s (%s): %v", e.Context, e.Server, e.Err)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// Connect reads the kubeconfig; it makes no request. A file or context that is not
// there is an error.
func Connect(o Options) (*Client, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.Context}
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
	cfg, err := loader.ClientConfig()
	if err != nil {
		if clientcmd.IsEmptyConfig(err) {
			return nil, errors.New("there is no kubeconfig: name one with --kubeconfig, or set KUBECONFIG")
		}
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	name := o.Context
	if raw, err := loader.RawConfig(); err == nil && name == "" {
		name = raw.CurrentContext
	}
	if name == "" {
		name = "in-cluster"
	}
	return newClient(name, cfg, o)
}

// newClient makes a client of a configuration.
func newClient(name string, cfg *rest.Config, o Options) (*Client, error) {
	c := &Client{name: name, host: cfg.Host, options: o, limiter: flowcontrol.NewTokenBucketRateLimiter(defaultQPS, defaultBurst)}
	if c.options.Backoff == 0 {
		c.options.Backoff = 500 * time.Millisecond
	}
	if c.options.Page == 0 {
		c.options.Page = 500
	}
	cfg = rest.CopyConfig(cfg)
	cfg.RateLimiter = c.limiter
	cfg.UserAgent = "ambientplan"
	cfg.WarningHandler = rest.NoWarnings{}
	cfg.Timeout = o.Timeout
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if o.Impersonate != "" {
		cfg.Impersonate = rest.ImpersonationConfig{UserName: o.Impersonate}
	}
	cfg.Wrap(func(rt http.RoundTripper) http.RoundTripper { return counting{c, rt} })
	var err error
	if c.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", name, err)
	}
	if c.discover, err = discovery.NewDiscoveryClientForConfigAndClient(cfg, c.http); err != nil {
		return nil, fmt.Errorf("cluster %s: %w", name, err)
	}
	c.config = cfg
	return c, nil
}

// counting counts requests, repeated ones too, and keeps what Retry-After says: client-go
// loses it where the body is a Status.
type counting struct {
	c    *Client
	next http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t counting) RoundTrip(r *http.Request) (*http.Response, error) {
	t.c.mu.Lock()
	t.c.calls++
	t.c.mu.Unlock()
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	if s, bad := strconv.Atoi(resp.Header.Get("Retry-After")); bad == nil && s > 0 && resp.StatusCode >= http.StatusTooManyRequests {
		t.c.mu.Lock()
		t.c.after = min(time.Duration(s)*time.Second, longestWait)
		t.c.mu.Unlock()
	}
	return resp, nil
}

// longestWait bounds how long an API server may let one request wait.
const longestWait = 30 * time.Second

// asked is how long the API server asked to wait, once.
func (c *Client) asked() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.after
	c.after = 0
	return d
}

// Name of the context.
func (c *Client) Name() string { return c.name }

// Calls is how many requests were made so far.
func (c *Client) Calls() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

// Version of Kubernetes, for example "1.37.2". It fails with an *UnreachableError.
func (c *Client) Version(ctx context.Context) (string, error) {
	var out string
	err := c.retry(ctx, func() error {
		v, err := c.discover.ServerVersion()
		if err == nil {
			out = strings.TrimPrefix(v.GitVersion, "v")
		}
		return err
	})
	if err != nil {
		return "", c.unreachable(err)
	}
	return out, nil
}

func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &UnreachableError{Context: c.name, Server: c.host, Err: err}
}
