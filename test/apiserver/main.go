// Command apiserver is a real kube-apiserver with etcd and some controllers of
// kube-controller-manager, in one process on loopback. Nodes and the status of
// Pods are made up. It prints the path of its kubeconfig when it is ready, and
// ends when its standard input does, so that a test that dies leaves nothing behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/klog/v2"
)

func main() {
	dir := flag.String("dir", "", "directory for certificates and data; must exist")
	nodes := flag.Int("nodes", 1, "how many Nodes there are")
	flag.Parse()
	klog.SetOutput(os.Stderr)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, stop, *dir, *nodes); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, stop func(), dir string, nodes int) error {
	s, err := start(ctx, options{dir: dir, controllers: controllers()})
	if err != nil {
		return err
	}
	defer s.close()
	if err := keepPods(ctx, s.admin, nodes); err != nil {
		return err
	}
	fmt.Println(s.kubeconfig)
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); stop() }()
	<-ctx.Done()
	return nil
}
