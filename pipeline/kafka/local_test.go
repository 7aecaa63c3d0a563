package kafka

import (
	"context"
	"net"
	"testing"
	"time"
)

// Clients in this process have a pipe, others TCP, and both see the same broker.
func TestLocalAndTCPClients(t *testing.T) {
	b, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	local, remote := b.Settings(), Settings{Brokers: []string{b.Addr()}}
	conn, err := local.dial(ctx, "tcp", b.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := conn.(*net.TCPConn); ok {
		t.Error("a client in this process goes through the network")
	}
	conn.Close()
	if err := MakeTopics(ctx, local, Topic{Name: "shared", Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	client, err := remote.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := remote.endOffsets(ctx, client, "shared")
	if err != nil || len(ends) != 3 {
		t.Errorf("over TCP: %d partitions, %v", len(ends), err)
	}
}

// Settings outlive their broker: when another one has its address, they reach that.
func TestLocalClientsOfAClosedBroker(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	settings := first.Settings()
	first.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if conn, err := settings.dial(ctx, "tcp", first.Addr()); err == nil {
		conn.Close()
		t.Error("connected to a broker that is closed")
	}
	second, err := OpenBroker(BrokerSettings{Addr: first.Addr(), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := Ping(ctx, settings); err != nil {
		t.Error(err)
	}
}
