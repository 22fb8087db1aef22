package broker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// piped is a connection whose other end reads only what the test does.
func piped(t *testing.T, max int) (c *conn, other net.Conn, waiting *budget) {
	ours, other := net.Pipe()
	waiting = &budget{max: 1 << 20}
	c = newConn(ours, max, waiting)
	go c.drain()
	t.Cleanup(func() {
		c.Close()
		other.Close()
		<-c.flushed
		if n := waiting.used.Load(); n != 0 {
			t.Errorf("%d bytes are still counted", n)
		}
	})
	return c, other, waiting
}

func TestConnNeverWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, other, _ := piped(t, 10_000)
		message := bytes.Repeat([]byte("m"), 1000)
		written := 0
		for !c.full() {
			n, err := c.Write(message)
			if err != nil {
				t.Fatal(err)
			}
			written += n
		}
		if written != 10_000 {
			t.Errorf("full with %d bytes", written)
		}
		got := make([]byte, written)
		if _, err := io.ReadFull(other, got); err != nil || !bytes.Equal(got, bytes.Repeat(message, 10)) {
			t.Errorf("what came is not what was written: %v", err)
		}
		synctest.Wait()
		if c.full() || c.pending() != 0 {
			t.Errorf("%d bytes wait after they were read", c.pending())
		}
	})
}

func TestConnStalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := piped(t, 10_000)
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + time.Second)
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a client that reads nothing for %v: %v", writeTimeout, err)
		}
		<-c.flushed

		c, _, _ = piped(t, 10_000)
		var err error
		for n := 0; err == nil; n += 1000 {
			if _, err = c.Write(make([]byte, 1000)); n > 25_000 {
				t.Fatalf("%d bytes wait", n)
			}
		}
		if !errors.Is(err, errStalled) || !errors.Is(c.why(), errStalled) {
			t.Errorf("%v, and %v", err, c.why())
		}
	})
}

// What is queued is still written when the connection is closed, to who reads it in time.
func TestConnFlushes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, other, _ := piped(t, 10_000)
		for range 3 {
			if _, err := c.Write([]byte("bye")); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("it is read from after the end")
		}
		if got, err := io.ReadAll(other); err != nil || string(got) != "byebyebye" {
			t.Errorf("got %q, %v", got, err)
		}

		c, _, _ = piped(t, 10_000)
		if _, err := c.Write([]byte("bye")); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		c.Close()
		if <-c.flushed; time.Since(began) > flushTimeout {
			t.Errorf("the end took %v", time.Since(began))
		}
	})
}

func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := piped(t, 10_000)
		began := time.Now()
		for range paceBurst {
			c.pace(0)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("what may come at once took %v", took)
		}
		for range 2 * paceSecond {
			c.pace(0)
		}
		if took := time.Since(began).Round(10 * time.Millisecond); took != 2*time.Second {
			t.Errorf("%d packets more took %v", 2*paceSecond, took)
		}
	})
}

func TestGate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(firstDelay)
		near, far := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")
		var leave []func()
		for i := range strangersPerAddress + 1 {
			l, ok := g.enter(far)
			if ok != (i < strangersPerAddress) {
				t.Fatalf("connection %d: %t", i, ok)
			}
			if ok {
				leave = append(leave, l)
			}
		}
		for i := range maxStrangers - strangersPerAddress + 1 {
			if _, ok := g.enter(near); ok != (i < maxStrangers-strangersPerAddress) {
				t.Fatalf("connection %d from this machine: %t", i, ok)
			}
		}
		leave[0]()
		leave[0]()
		if g.pending != maxStrangers-1 || g.byAddr[far] != strangersPerAddress-1 {
			t.Errorf("after one left: %d, %d", g.pending, g.byAddr[far])
		}

		if wait, ok := g.delay(far, time.Now()); wait != 0 || !ok {
			t.Errorf("waits %v without a failure", wait)
		}
		var waits []time.Duration
		for range 8 {
			g.failed(far, time.Now())
			wait, ok := g.delay(far, time.Now())
			if !ok {
				wait = -1
			}
			waits = append(waits, wait)
			time.Sleep(max(wait, 0))
		}
		if waits[0] != firstDelay || waits[7] > longestDelay {
			t.Errorf("waits %v", waits)
		}
		for i := 1; i < len(waits); i++ {
			if waits[i] >= 0 && waits[i] < waits[i-1] {
				t.Errorf("waits %v", waits)
			}
		}
		time.Sleep(failureMemory + longestDelay)
		if wait, ok := g.delay(far, time.Now()); wait != 0 || !ok {
			t.Errorf("waits %v long after", wait)
		}
		for i := range 2 * maxFailing {
			g.failed(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), time.Now())
		}
		if len(g.failures) > maxFailing {
			t.Errorf("%d addresses are remembered", len(g.failures))
		}
	})
}
