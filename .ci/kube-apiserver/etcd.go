package main

import (
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd starts an etcd whose one socket is in the data folder, where nobody else can reach it:
// etcd has no other protection here. It is alone, so it listens to no peers.
func startEtcd(data string) (*embed.Etcd, error) {
	client := url.URL{Scheme: "unix", Path: filepath.Join(data, "etcd.sock")}
	config := embed.NewConfig()
	config.Dir = filepath.Join(data, "etcd")
	config.ListenClientUrls = []url.URL{client}
	config.ListenPeerUrls = nil
	config.LogLevel = "error"
	// The data is gone after the run.
	config.UnsafeNoFsync = true
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	<-etcd.Server.ReadyNotify()
	return etcd, nil
}
