//go:build servers

package xmpptest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Relay is a way to a server that can be cut: what is on its way is lost, and until it is mended nobody gets through.
type Relay struct {
	Addr string // where it listens
	to   string

	mu      sync.Mutex
	cut     bool
	conns   map[net.Conn]bool
	running sync.WaitGroup
}

// StartRelay starts a way to a server that ends with the test.
func StartRelay(t testing.TB, to string) *Relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Addr: l.Addr().String(), to: to, conns: map[net.Conn]bool{}}
	r.running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			r.running.Go(func() { r.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		r.Sever(true)
		r.running.Wait()
	})
	return r
}

// Sever ends all connections, and lets nobody through from now on if it stays so.
func (r *Relay) Sever(stays bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = stays
	for conn := range r.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset: nobody says goodbye
		}
		_ = conn.Close()
	}
}

// Mend lets everybody through again.
func (r *Relay) Mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = false
}

func (r *Relay) carry(near net.Conn) {
	defer near.Close()
	far, err := net.Dial("tcp", r.to)
	if err != nil {
		return
	}
	defer far.Close()
	r.mu.Lock()
	if r.cut {
		r.mu.Unlock()
		return
	}
	r.conns[near], r.conns[far] = true, true
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.conns, near)
		delete(r.conns, far)
	}()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = way[0].Close()
			_ = way[1].Close()
		})
	}
	both.Wait()
}
