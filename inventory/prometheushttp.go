package inventory

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"strings"

	promapi "github.com/prometheus/client_golang/api"
)

// maxAnswer bounds one answer of Prometheus: about a million series.
const maxAnswer = 512 << 20

// metricsClient prepares the requests. Errors do not show the URL, which may hold a password.
func metricsClient(o MetricsOptions) (promapi.Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("its URL must begin with http:// or https:// and name a host")
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if o.CAFile != "" {
		b, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", o.CAFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	rt := &metricsTransport{next: transport, header: http.Header{}}
	for _, h := range o.Headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, errors.New("a header is written \"Name: value\"")
		}
		rt.header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if o.TokenFile != "" {
		b, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return nil, err
		}
		rt.header.Set("Authorization", "Bearer "+strings.TrimSpace(string(b)))
	}
	return promapi.NewClient(promapi.Config{Address: o.URL, RoundTripper: rt})
}

// metricsTransport adds headers, and gives nothing on that is no answer of Prometheus.
type metricsTransport struct {
	next   http.RoundTripper
	header http.Header
}

// RoundTrip implements http.RoundTripper. A redirect is an error: it leads to a login page,
// or the token to another host.
func (t *metricsTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name, values := range t.header {
		r.Header[name] = values
	}
	res, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 && res.StatusCode < 400 {
		res.Body.Close()
		return nil, fmt.Errorf("it answers %s and sends on to %q: give the URL of the API itself, and a token if it asks for one", res.Status, hostOf(res.Header.Get("Location")))
	}
	if kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); res.StatusCode == http.StatusOK && kind == "text/html" {
		res.Body.Close()
		return nil, errors.New("it answers with a page of HTML: that is a login page or no Prometheus")
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: maxAnswer}
	return res, nil
}

// boundedBody ends with an error, not with what looks like the end, when an answer is too large.
type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the answer is larger than %d MiB: ask for a shorter window", maxAnswer>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
