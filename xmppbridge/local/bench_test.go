package local

import (
	"fmt"
	"runtime"
	"testing"

	"tidings/xmppbridge/stream"
)

// settled returns the memory in use: live heap, and stacks.
func settled() (heap, stacks uint64) {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.StackInuse
}

// BenchmarkIdleClient tells what a client costs that is logged in, available and silent: what is free again when the server
// has ended it and the test still holds its own end. Stacks are those of both goroutines of the server.
func BenchmarkIdleClient(b *testing.B) {
	const n = 100
	f := start(b, Limits{Streams: n})
	for b.Loop() {
		clients := make([]*raw, n)
		for i := range clients {
			clients[i] = f.login("alice", fmt.Sprint("r", i))
			clients[i].write("<presence/>")
		}
		for _, c := range clients {
			c.sync()
			c.backlog = nil
		}
		heap, stacks := settled()
		for _, c := range clients {
			c.conn.Close()
		}
		f.house.await("all gone", func() bool { return len(f.house.events) == 2*n })
		f.house.note(func() { f.house.events, f.house.delivered = nil, nil })
		less, fewer := settled()
		b.ReportMetric((float64(heap)-float64(less))/n, "heap-B/client")
		b.ReportMetric((float64(stacks)-float64(fewer))/n, "stack-B/client")
		runtime.KeepAlive(clients)
	}
}

// BenchmarkLostClient tells what a client costs that lost its connection and may resume: what is free again when it was given up.
func BenchmarkLostClient(b *testing.B) {
	const n = 100
	f := start(b, Limits{Streams: n, Lost: n})
	for b.Loop() {
		for i := range n {
			c := f.login("alice", fmt.Sprint("r", i))
			c.write("<enable xmlns='urn:xmpp:sm:3' resume='1'/><presence/>")
			c.expect("own presence", presence("", c.full))
			c.conn.Close()
			f.awaitLost(c.full)
		}
		heap, stacks := settled()
		f.locked(func() {
			for _, c := range f.accounts["alice"].sessions {
				c.end(&stream.Error{Condition: stream.ResourceConstraint})
			}
		})
		f.house.await("all gone", func() bool { return len(f.house.events) == 2*n })
		f.house.note(func() { f.house.events, f.house.delivered = nil, nil })
		less, fewer := settled()
		b.ReportMetric((float64(heap)-float64(less))/n, "heap-B/client")
		b.ReportMetric((float64(stacks)-float64(fewer))/n, "stack-B/client")
	}
}

// BenchmarkBroadcast is presence of a device to ten available clients of two accounts.
func BenchmarkBroadcast(b *testing.B) {
	f := start(b, Limits{Queue: 1 << 30})
	for i := range 10 {
		c := f.login([]string{"alice", "bob"}[i%2], fmt.Sprint("r", i))
		c.write("<presence/>")
		c.sync()
		go func() {
			for {
				if _, err := c.conn.Read(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
	}
	st := stream.New(stream.NS, "presence", "from", "lamp@home.example/lamp").
		Add(stream.New(stream.NS, "status").AddText("21.4 °C · 48 %"))
	b.ReportAllocs()
	for b.Loop() {
		if n := f.Broadcast(st); n != 10 {
			b.Fatalf("%d clients", n)
		}
	}
}
