package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
)

// benchmarked runs a broker and connects a client from inside.
func benchmarked(b *testing.B) (connect func(id string, h paho.MessageHandler) paho.Client) {
	b.Helper()
	inside := broker.New(broker.Options{Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- inside.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-done })
	if err := inside.WaitReady(ctx); err != nil {
		b.Fatal(err)
	}
	return func(id string, h paho.MessageHandler) paho.Client {
		c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://broker").SetClientID(id).SetAutoReconnect(false).SetProtocolVersion(4).
			SetDefaultPublishHandler(h).SetCustomOpenConnectionFn(dialling(func() (net.Conn, error) { return inside.Dial(ctx) })))
		if token := c.Connect(); token.Wait() && token.Error() != nil {
			b.Fatal(token.Error())
		}
		b.Cleanup(func() { c.Disconnect(100) })
		return c
	}
}

// BenchmarkRetained brings 8,000 retained messages, such as a large house announces, to a client that asks for them.
func BenchmarkRetained(b *testing.B) {
	const n = 8000
	connect := benchmarked(b)
	writer := connect("writer", nil)
	payload := make([]byte, 500)
	var last paho.Token
	for i := range n {
		last = writer.Publish(fmt.Sprintf("homeassistant/sensor/%04d/config", i), 1, true, payload)
	}
	last.Wait()
	got := make(chan struct{}, n)
	reader := connect("reader", func(paho.Client, paho.Message) { got <- struct{}{} })
	b.ResetTimer()
	for range b.N {
		reader.Subscribe("homeassistant/+/+/config", 0, nil).Wait()
		for range n {
			<-got
		}
		reader.Unsubscribe("homeassistant/+/+/config").Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/n, "µs/message")
}

// BenchmarkRelay is a message from one client to another and the acknowledgements, one at a time.
func BenchmarkRelay(b *testing.B) {
	connect := benchmarked(b)
	got := make(chan struct{}, 1)
	connect("reader", func(paho.Client, paho.Message) { got <- struct{}{} }).Subscribe("#", 0, nil).Wait()
	writer := connect("writer", nil)
	b.ResetTimer()
	for range b.N {
		writer.Publish("stat/lamp/POWER", 0, false, "ON")
		<-got
	}
}
