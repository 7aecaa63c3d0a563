package kafka

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
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
	first, err := OpenBroker(BrokerSettings{Addr: freeAddr(t), Dir: dir})
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

// Whatever comes to the embedded broker's port, it goes on, and makes no room for what only says that it is large.
func TestBrokerMeetsStrangers(t *testing.T) {
	b, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	request := func(key, version int16, body []byte) []byte {
		m := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
		m = binary.BigEndian.AppendUint16(m, uint16(key))
		m = binary.BigEndian.AppendUint16(m, uint16(version))
		return append(binary.BigEndian.AppendUint32(m, 1), body...)
	}
	strangers := [][]byte{
		[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, // TLS
		[]byte("*1\r\n$4\r\nPING\r\n"),
		{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		{0, 0, 0, 0, 0, 3, 0, 0},
		request(9999, 0, nil),
		request(-1, 0, nil),
	}
	for key := range int16(100) { // those that it knows, with nothing in them
		strangers = append(strangers, request(key, 0, make([]byte, 40)))
	}
	for _, bytes := range strangers {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatalf("before %.20q: %v", bytes, err)
		}
		if _, err := conn.Write(bytes); err != nil {
			t.Fatal(err)
		}
		conn.(*net.TCPConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond)) // some are asked to be answered later
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := MakeTopics(ctx, Settings{Brokers: []string{b.Addr()}}, Topic{Name: "t", Partitions: 1}); err != nil {
		t.Error(err)
	}
	var now runtime.MemStats
	if runtime.ReadMemStats(&now); now.HeapSys > 1<<30 {
		t.Errorf("the heap has grown to %d MiB", now.HeapSys>>20)
	}
}
