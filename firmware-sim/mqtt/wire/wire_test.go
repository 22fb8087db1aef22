package wire_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"tidings/firmware-sim/mqtt/wire"
)

// silent is a broker that lets a client in, and says nothing else.
func silent(c net.Conn) {
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		if _, ok := p.(*packets.ConnectPacket); ok {
			_ = packets.NewControlPacket(packets.Connack).Write(c)
		}
	}
}

// open subscribes at a silent broker, and returns the error and how long that took.
func open(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	_, err := wire.Open(ctx, wire.Options{
		Place: wire.Place{Dial: func(context.Context) (net.Conn, error) {
			theirs, ours := net.Pipe()
			go silent(ours)
			return theirs, nil
		}},
		ID: "thing", KeepAlive: time.Minute, WriteTimeout: time.Second,
		Filters: map[string]byte{"thing/set": 0},
		Heard:   func(string, string) {},
	})
	return time.Since(began), err
}

// TestSilentBroker: a broker that does not grant what is subscribed to is given up, and said why.
func TestSilentBroker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		if took, err := open(t.Context()); err == nil || err.Error() != "subscribe: the broker does not answer within 5s" || took != 5*time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// TestEndOfWait: whoever does not want the connection any more does not wait for the broker.
func TestEndOfWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if took, err := open(ctx); !errors.Is(err, context.Canceled) || took != time.Second {
			t.Errorf("after %v: %v", took, err)
		}
	})
}
