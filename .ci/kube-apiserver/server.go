package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// server is a kube-apiserver that has its port, keys and certificate, and does not run yet.
type server struct {
	options options.CompletedOptions
	// client is how to reach it as an administrator.
	client rest.Config
}

func newServer(ctx context.Context, data, etcd string) (*server, error) {
	token := make([]byte, 32)
	if _, err := rand.Read(token); err != nil {
		return nil, err
	}
	bearer := hex.EncodeToString(token)
	tokens := filepath.Join(data, "tokens.csv")
	line := bearer + ",admin,admin,system:masters\n"
	if err := os.WriteFile(tokens, []byte(line), 0o600); err != nil {
		return nil, err
	}
	accounts := filepath.Join(data, "service-accounts.key")
	key, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return nil, err
	}
	if err := keyutil.WriteKey(accounts, key); err != nil {
		return nil, err
	}

	run := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, some := range run.Flags().FlagSets {
		flags.AddFlagSet(some)
	}
	err = flags.Parse([]string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// The server makes a certificate of its own here, its CA in the same file.
		"--cert-dir=" + data,
		"--token-auth-file=" + tokens,
		// Whoever has no token is nobody; the administrators' group may do everything.
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + accounts,
		"--service-account-signing-key-file=" + accounts,
		// No controller makes the accounts that this plugin asks for.
		"--disable-admission-plugins=ServiceAccount",
		"--service-cluster-ip-range=10.0.0.0/24",
		// There is nobody to tell where the server is; it is on loopback anyway.
		"--endpoint-reconciler-type=none",
		"--profiling=false",
	})
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	run.SecureServing.Listener = listener
	run.SecureServing.BindPort = listener.Addr().(*net.TCPAddr).Port

	if err := run.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := run.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if err := utilerrors.NewAggregate(completed.Validate()); err != nil {
		return nil, err
	}
	return &server{
		options: completed,
		client: rest.Config{
			Host:            "https://" + listener.Addr().String(),
			BearerToken:     bearer,
			TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(data, "apiserver.crt")},
		},
	}, nil
}

func (s *server) run(ctx context.Context) error {
	return app.Run(ctx, s.options)
}

// waitReady returns when the server says that all of it works.
func (s *server) waitReady(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := rest.HTTPClientFor(&s.client)
	if err != nil {
		return err
	}
	why := "no answer yet"
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.client.Host+"/readyz?verbose", nil)
		if err != nil {
			return err
		}
		if answer, err := client.Do(request); err == nil {
			body, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
			why = string(body)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not ready after %v: %s: %w", patience, why, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// writeKubeconfig makes the file appear whole, readable for its owner alone.
func (s *server) writeKubeconfig(path string) error {
	authority, err := os.ReadFile(s.client.CAFile)
	if err != nil {
		return err
	}
	const name = "test"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   s.client.Host,
		CertificateAuthorityData: authority,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: s.client.BearerToken}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	if err := clientcmd.WriteToFile(*config, path+".new"); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
