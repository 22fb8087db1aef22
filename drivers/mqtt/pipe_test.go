package mqtt_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// pipeBroker is a broker for one client, over a pipe, so that time can be simulated around it.
type pipeBroker struct {
	mu       sync.Mutex
	retained map[string]string
	granted  map[string]bool
	away     bool
	client   net.Conn                                // nil: none is connected
	heard    []string                                // topic=payload of what the client published
	answer   func(topic, payload string) [][2]string // what devices say to what the client publishes, topics and payloads; nil: nothing
	dials    int                                     // how often the client came
	late     time.Duration                           // after a SUBSCRIBE, of its answer
	mute     int                                     // answers to SUBSCRIBE that are lost
	dead     atomic.Bool                             // it says nothing more
	asked    int                                     // how often it was asked for announcements
	room     []int                                   // how many retained messages it sends when asked: the others are dropped, and the answer; empty: there is room for all
}

func newPipeBroker() *pipeBroker { return &pipeBroker{retained: map[string]string{}} }

func (b *pipeBroker) dial(context.Context) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away {
		return nil, errors.New("the broker is away")
	}
	b.dials++
	theirs, ours := net.Pipe()
	b.client, b.granted = ours, map[string]bool{}
	go b.serve(ours)
	return theirs, nil
}

// serve answers one client until it goes.
func (b *pipeBroker) serve(c net.Conn) {
	out := make(chan packets.ControlPacket, 10_000)
	go func() {
		for p := range out {
			if !b.dead.Load() {
				_ = p.Write(c)
			}
		}
	}()
	defer close(out)
	defer c.Close()
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch p := p.(type) {
		case *packets.ConnectPacket:
			out <- packets.NewControlPacket(packets.Connack)
		case *packets.PingreqPacket:
			out <- packets.NewControlPacket(packets.Pingresp)
		case *packets.SubscribePacket:
			b.subscribe(p, out)
		case *packets.UnsubscribePacket:
			b.mu.Lock()
			for _, topic := range p.Topics {
				delete(b.granted, topic)
			}
			b.mu.Unlock()
			ack := packets.NewControlPacket(packets.Unsuback).(*packets.UnsubackPacket)
			ack.MessageID = p.MessageID
			out <- ack
		case *packets.PublishPacket:
			b.mu.Lock()
			b.heard = append(b.heard, p.TopicName+"="+string(p.Payload))
			if b.answer != nil {
				for _, m := range b.answer(p.TopicName, string(p.Payload)) {
					if b.wants(m[0]) {
						out <- publication(m[0], m[1], false)
					}
				}
			}
			b.mu.Unlock()
		case *packets.DisconnectPacket:
			return
		}
	}
}

func (b *pipeBroker) subscribe(p *packets.SubscribePacket, out chan<- packets.ControlPacket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
	ack.MessageID, ack.ReturnCodes = p.MessageID, make([]byte, len(p.Topics))
	for i, filter := range p.Topics {
		if strings.HasPrefix(filter, "secret/") {
			ack.ReturnCodes[i] = 0x80
		}
	}
	room := 1_000_000
	if slices.Contains(p.Topics, "fake/+/config") {
		if b.asked++; len(b.room) > 0 {
			room, b.room = b.room[0], b.room[1:]
		}
	}
	for _, filter := range p.Topics {
		b.granted[filter] = true
		for _, topic := range slices.Sorted(maps.Keys(b.retained)) {
			if room > 0 && fits(filter, topic) {
				out <- publication(topic, b.retained[topic], true)
				room--
			}
		}
	}
	switch {
	case b.mute > 0:
		b.mute--
	case b.late > 0:
		time.AfterFunc(b.late, func() { _ = ack.Write(b.client) })
	case room > 0:
		out <- ack
	}
}

func publication(topic, payload string, retained bool) *packets.PublishPacket {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload, p.Retain = topic, []byte(payload), retained
	return p
}

// fits: the tests have filters with + for one level only.
func fits(filter, topic string) bool {
	return slices.EqualFunc(strings.Split(filter, "/"), strings.Split(topic, "/"), func(f, t string) bool { return f == "+" || f == t })
}

// wants reports whether the client has subscribed to a topic.
func (b *pipeBroker) wants(topic string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(b.granted)), func(f string) bool { return fits(f, topic) })
}

// say publishes as a device, and waits until all of it was heard.
func (b *pipeBroker) say(topic, payload string, retained bool) {
	b.mu.Lock()
	if retained && payload == "" {
		delete(b.retained, topic)
	} else if retained {
		b.retained[topic] = payload
	}
	client := b.client
	if !b.wants(topic) {
		client = nil
	}
	b.mu.Unlock()
	if client != nil {
		_ = publication(topic, payload, false).Write(client)
	}
	synctest.Wait()
}

// leave cuts the connection; the client cannot come back until back.
func (b *pipeBroker) leave() {
	b.mu.Lock()
	b.away = true
	_ = b.client.Close()
	b.mu.Unlock()
	synctest.Wait()
}

func (b *pipeBroker) back() {
	b.mu.Lock()
	b.away = false
	b.mu.Unlock()
	time.Sleep(time.Minute) // however long the client waits between attempts
	synctest.Wait()
}

// times says how often something was published.
func (b *pipeBroker) times(text string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, h := range b.heard {
		if h == text {
			n++
		}
	}
	return n
}

func (b *pipeBroker) has(topic string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.granted[topic]
}
