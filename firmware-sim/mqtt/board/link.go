package board

import (
	"context"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/firmware-sim/mqtt/wire"
)

// link is one connection to the broker.
type link struct {
	*wire.Link
	board *Board

	states []Message // the latest of each topic, for the flood
	turn   int       // of the flood
}

func (b *Board) place() wire.Place { return wire.Place{Broker: b.options.Broker, Dial: b.options.Dial} }

func (b *Board) open(ctx context.Context) (*link, error) {
	will := b.firmware.Will()
	filters := map[string]byte{}
	for _, f := range b.firmware.Filters() {
		filters[f] = 0
	}
	l, err := wire.Open(ctx, wire.Options{
		Place: b.place(), ID: b.firmware.ID(), Username: b.options.Username, Password: b.options.Password,
		KeepAlive: 15 * time.Second, WriteTimeout: 5 * time.Second,
		Will:    wire.Will{Topic: will.Topic, Payload: will.Payload, QoS: will.QoS, Retained: will.Retained},
		Filters: filters,
		Heard: func(topic, payload string) {
			select {
			case b.came <- came{topic, payload}:
			default:
			}
		},
	})
	return &link{Link: l, board: b}, err
}

// send publishes messages as the faults have them. What the connection does not take in time is lost. After a message with quality
// of service 2 the next waits until the broker has it for good: mosquitto takes 20 such at one time and forgets the others, which it
// acknowledges as well.
func (c *link) send(messages []Message) {
	garbage := c.board.has(Garbage)
	tokens := make([]paho.Token, 0, len(messages))
	for _, m := range messages {
		if m.About == State {
			if garbage {
				m.Payload = garbled(m.Payload)
			}
			c.remember(m)
		}
		token := c.Client.Publish(m.Topic, m.QoS, m.Retained, m.Payload)
		if m.QoS == 2 && !c.acknowledged(token) {
			return
		}
		tokens = append(tokens, token)
	}
	timeout := time.NewTimer(sendTimeout)
	defer timeout.Stop()
	for _, token := range tokens {
		select {
		case <-token.Done():
		case <-c.Lost():
			return
		case <-timeout.C:
			return
		}
	}
}

// acknowledged waits until the broker has a message. Where it does not say so in time the connection ends, so that on the next one
// all is said anew.
func (c *link) acknowledged(token paho.Token) bool {
	timeout := time.NewTimer(ackTimeout)
	defer timeout.Stop()
	select {
	case <-token.Done():
		if token.Error() == nil {
			return true
		}
	case <-c.Lost():
	case <-timeout.C:
	}
	c.Break()
	return false
}

// remember keeps a state for the flood.
func (c *link) remember(m Message) {
	for i := range c.states {
		if c.states[i].Topic == m.Topic {
			c.states[i] = m
			return
		}
	}
	if len(c.states) < maxStates {
		c.states = append(c.states, m)
	}
}

// again publishes so many states that were said before.
func (c *link) again(n int) {
	if len(c.states) == 0 {
		return
	}
	for range n {
		c.turn++
		m := c.states[c.turn%len(c.states)]
		c.Client.Publish(m.Topic, 0, m.Retained, m.Payload)
	}
}
