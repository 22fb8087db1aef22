package broker_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"tidings/drivers/mqtt/broker"
)

// FuzzPackets sends bytes behind a CONNECT of either version, and looks whether the same client is let in afterwards.
func FuzzPackets(f *testing.F) {
	b := broker.New(broker.Options{MaxPacket: 10_000, MaxQueue: 100_000, MaxRetained: 100_000, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-done })
	if err := b.WaitReady(f.Context()); err != nil {
		f.Fatal(err)
	}
	for _, p := range [][]byte{
		packet(0x82, "\x00\x01"+str("#")+"\x02"), packet(0x82, "\x00\x01\x02\x0b\x07"+str("a/+")+"\x2e"), packet(0xa2, "\x00\x01"+str("#")),
		packet(0x31, str("a/b")+"x"), packet(0x35, str("a")+"\x00\x02\x00x"), packet(0x33, str("a")+"\x00\x02\x05\x02\x00\x00\x00\x09"+"x"),
		{0x62, 2, 0, 2}, {0x40, 2, 0, 1}, {0x50, 2, 0, 1}, {0x70, 2, 0, 1}, {0xc0, 0}, {0xe0, 0}, {0xe0, 2, 4, 0}, {0xf0, 2, 0x18, 0},
		connectPacket("x"), packet(0x82, "\x00\x01"+str("$share/g/a")+"\x01"),
	} {
		f.Add(false, p)
		f.Add(true, p)
	}
	hello := connectPacket("fuzz")
	hello5 := packet(0x10, "\x00\x04MQTT\x05\x02\x00\x00\x00"+str("fuzz"))
	f.Fuzz(func(t *testing.T, five bool, data []byte) {
		c, err := b.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		first := hello
		if five {
			first = hello5
		}
		// A broker that ends the connection in the middle does right.
		_, _ = c.Write(append(append([]byte(nil), first...), data...))
		_ = c.(*net.UnixConn).CloseWrite()
		if _, err := io.Copy(io.Discard, c); err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				t.Fatal("the connection is not ended")
			}
		}
		again, err := b.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		_ = again.SetDeadline(time.Now().Add(20 * time.Second))
		send(t, again, append(append([]byte(nil), hello...), 0xc0, 0))
		if answer := make([]byte, 6); !reads(again, answer) || answer[3] != 0 || answer[4] != 0xd0 {
			t.Fatalf("the next connection gets %x", answer)
		}
	})
}
