// Kube-apiserver runs a Kubernetes API server with an etcd in one process, for the tests of one
// run: no nodes, no scheduler, no controllers. It listens on loopback and keeps everything in one
// folder, which whoever starts it removes.
//
//	kube-apiserver DATA KUBECONFIG
//
// KUBECONFIG appears when the server is ready. The process ends on SIGTERM, and when its standard
// input closes, so that it does not outlive the script that holds the other end.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
)

// patience is generous: a server on a busy machine takes ten seconds.
const patience = 2 * time.Minute

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kube-apiserver DATA KUBECONFIG")
		os.Exit(2)
	}
	ctx, stop := context.WithCancel(genericapiserver.SetupSignalContext())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	if err := run(ctx, os.Args[1], os.Args[2]); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "kube-apiserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data, kubeconfig string) error {
	data, err := filepath.Abs(data)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	etcd, err := startEtcd(data)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer etcd.Close()
	server, err := newServer(ctx, data, etcd.Config().ListenClientUrls[0].String())
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- server.run(ctx) }()
	ready := make(chan error, 1)
	go func() { ready <- server.waitReady(ctx, patience) }()
	select {
	case err := <-ended:
		return err
	case err := <-ready:
		if err != nil {
			return err
		}
	}
	if err := server.writeKubeconfig(kubeconfig); err != nil {
		return err
	}
	return <-ended
}
