package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	apioptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	cmapp "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	cmoptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
)

// options of start.
type options struct {
	// dir holds certificates and data.
	dir string
	// controllers of kube-controller-manager that run.
	controllers []string
}

// controllers are those that make Pods of workloads, EndpointSlices of Services
// and the ServiceAccount "default" of a namespace, without which no Pod is admitted.
func controllers() []string {
	return []string{
		"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller",
		"job-controller", "cronjob-controller", "endpointslice-controller", "endpoints-controller",
		"horizontal-pod-autoscaler-controller", // without metrics it keeps minReplicas
		"serviceaccount-controller", "namespace-controller", "garbage-collector-controller",
		"root-ca-certificate-publisher-controller", "clusterrole-aggregation-controller",
	}
}

// server is a running control plane.
type server struct {
	// admin is of the group system:masters, as is the kubeconfig.
	admin      *rest.Config
	kubeconfig string
	stop       []func()
}

// close ends everything, in reverse order.
func (s *server) close() {
	for i := len(s.stop) - 1; i >= 0; i-- {
		s.stop[i]()
	}
}

// start returns when the API server is ready.
func start(parent context.Context, o options) (_ *server, err error) {
	ctx, cancel := context.WithCancel(parent)
	s := &server{stop: []func(){cancel}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	etcd, err := s.startEtcd(o.dir)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	saKey := filepath.Join(o.dir, "sa.key")
	if err := writeECKey(saKey); err != nil {
		return nil, err
	}
	crt, err := s.startAPI(ctx, cancel, o.dir, etcd, saKey)
	if err != nil {
		return nil, fmt.Errorf("kube-apiserver: %w", err)
	}
	if err := s.startControllers(ctx, o.controllers, crt, saKey); err != nil {
		return nil, fmt.Errorf("kube-controller-manager: %w", err)
	}
	return s, nil
}

// startEtcd returns the URL of an etcd that does not sync to disk.
func (s *server) startEtcd(dir string) (string, error) {
	ec := embed.NewConfig()
	ec.Dir = filepath.Join(dir, "etcd")
	ec.LogLevel = "error"
	ec.UnsafeNoFsync = true
	loop := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	ec.ListenClientUrls, ec.AdvertiseClientUrls = []url.URL{loop}, []url.URL{loop}
	ec.ListenPeerUrls, ec.AdvertisePeerUrls = []url.URL{loop}, []url.URL{loop}
	ec.InitialCluster = ec.InitialClusterFromName(ec.Name)
	e, err := embed.StartEtcd(ec)
	if err != nil {
		return "", err
	}
	s.stop = append(s.stop, e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case <-time.After(time.Minute):
		return "", errors.New("not ready")
	}
	return "http://" + e.Clients[0].Addr().String(), nil
}

// startAPI runs a kube-apiserver with RBAC and a static token. It returns the path
// of the server's certificate.
func (s *server) startAPI(ctx context.Context, cancel func(), dir, etcd, saKey string) (string, error) {
	token := randHex()
	tokenFile := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokenFile, []byte(token+`,admin,admin,"system:masters"`+"\n"), 0o600); err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	ro := apioptions.NewServerRunOptions()
	fs := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, f := range ro.Flags().FlagSets {
		fs.AddFlagSet(f)
	}
	certDir := filepath.Join(dir, "certs")
	if err := fs.Parse([]string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--cert-dir=" + certDir,
		"--token-auth-file=" + tokenFile,
		"--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.96.0.0/12",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file=" + saKey,
		"--service-account-key-file=" + saKey,
		"--endpoint-reconciler-type=none", // It refuses a loopback address.
		"--enable-priority-and-fairness=false",
		"--profiling=false",
	}); err != nil {
		return "", err
	}
	ro.SecureServing.Listener = ln
	ro.SecureServing.BindPort = ln.Addr().(*net.TCPAddr).Port
	if err := ro.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return "", err
	}
	completed, err := ro.Complete(ctx)
	if err != nil {
		return "", err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return "", errors.Join(errs...)
	}
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx, completed) }()
	s.stop = append(s.stop, func() {
		cancel()
		// It waits for open watches, for nothing: the data is thrown away.
		select {
		case <-done:
		case <-time.After(time.Second):
		}
	})
	return s.awaitAPI(ctx, dir, certDir, "https://"+ln.Addr().String(), token, done)
}

// awaitAPI waits until the API server says that it is ready.
func (s *server) awaitAPI(ctx context.Context, dir, certDir, host, token string, done <-chan error) (string, error) {
	crt := filepath.Join(certDir, "apiserver.crt")
	if err := poll(ctx, time.Minute, done, func() bool { _, err := os.Stat(crt); return err == nil }); err != nil {
		return "", fmt.Errorf("certificate: %w", err)
	}
	s.admin = &rest.Config{Host: host, BearerToken: token, QPS: 1000, Burst: 2000,
		TLSClientConfig: rest.TLSClientConfig{CAFile: crt}}
	s.kubeconfig = filepath.Join(dir, "kubeconfig")
	if err := writeKubeconfig(s.kubeconfig, host, crt, token); err != nil {
		return "", err
	}
	hc, err := rest.HTTPClientFor(s.admin)
	if err != nil {
		return "", err
	}
	ready := func() bool {
		r, err := hc.Get(host + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
	}
	if err := poll(ctx, 3*time.Minute, done, ready); err != nil {
		return "", fmt.Errorf("readyz: %w", err)
	}
	return crt, nil
}

// startControllers runs some controllers of kube-controller-manager.
func (s *server) startControllers(ctx context.Context, names []string, crt, saKey string) error {
	co, err := cmoptions.NewKubeControllerManagerOptions()
	if err != nil {
		return err
	}
	named := co.Flags(cmapp.KnownControllers(), cmapp.ControllersDisabledByDefault(), cmapp.ControllerAliases())
	co.ParsedFlags = &named
	fs := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	for _, f := range named.FlagSets {
		fs.AddFlagSet(f)
	}
	if err := fs.Parse([]string{
		"--kubeconfig=" + s.kubeconfig,
		"--controllers=" + strings.Join(names, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--root-ca-file=" + crt,
		"--service-account-private-key-file=" + saKey,
		"--endpointslice-updates-batch-period=0s",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}); err != nil {
		return err
	}
	cc, err := co.Config(ctx, cmapp.KnownControllers(), cmapp.ControllersDisabledByDefault(), cmapp.ControllerAliases())
	if err != nil {
		return err
	}
	go func() { _ = cmapp.Run(ctx, cc.Complete()) }()
	return nil
}

// writeKubeconfig writes a one-context kubeconfig.
func writeKubeconfig(path, host, ca, token string) error {
	c := clientcmdapi.NewConfig()
	c.Clusters["real"] = &clientcmdapi.Cluster{Server: host, CertificateAuthority: ca}
	c.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	c.Contexts["real"] = &clientcmdapi.Context{Cluster: "real", AuthInfo: "admin"}
	c.CurrentContext = "real"
	return clientcmd.WriteToFile(*c, path)
}

// poll asks until the answer is yes, the server has ended, or time is over.
func poll(ctx context.Context, max time.Duration, died <-chan error, ok func() bool) error {
	deadline := time.After(max)
	for {
		if ok() {
			return nil
		}
		select {
		case err := <-died:
			return fmt.Errorf("server exited: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-deadline:
			return errors.New("timeout")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func randHex() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}

func writeECKey(path string) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		return err
	}
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
