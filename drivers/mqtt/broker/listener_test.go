package broker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// A client whose packets make the broker panic loses its connection, and nobody else does.
func TestPanicEndsOneConnection(t *testing.T) {
	t.Parallel()
	pairs := newPairListener()
	l := newListener("t", pairs, slog.New(slog.DiscardHandler), defaultMaxQueue, &budget{max: maxWaiting})
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.Serve(func(string, net.Conn) error { panic("test") })
	}()
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		conn, err := pairs.dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte{0x10, 0}); err != nil { // a CONNECT, as far as the listener looks
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the connection is not closed: %v", err)
		}
		conn.Close()
	}
	l.Close(nil)
	<-served
	l.wg.Wait()
	if len(l.conns) != 0 {
		t.Errorf("%d connections are still known", len(l.conns))
	}
}
