package board

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// link is one connection to the broker.
type link struct {
	board  *Board
	client paho.Client
	conn   net.Conn
	lost   chan struct{} // closed when it has gone
	err    error         // why; valid after lost

	states []Message // the latest of each topic, for the flood
	turn   int       // of the flood
}

func (c *link) open(ctx context.Context) error {
	b := c.board
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	release := func() bool { return true }
	o := paho.NewClientOptions().AddBroker("tcp://broker").
		SetClientID(b.firmware.ID()).SetProtocolVersion(4).
		SetUsername(b.options.Username).SetPassword(b.options.Password).
		SetAutoReconnect(false).SetKeepAlive(15 * time.Second).SetConnectTimeout(patience).SetWriteTimeout(patience).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (conn net.Conn, err error) {
			if c.conn, err = b.dial(ctx); err != nil {
				return nil, err
			}
			release = context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
			return c.conn, nil
		}).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			c.err = err
			close(c.lost)
		}).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			select {
			case b.came <- came{m.Topic(), string(m.Payload())}:
			default:
			}
		})
	if will := b.firmware.Will(); will.Topic != "" {
		o.SetWill(will.Topic, will.Payload, will.QoS, will.Retained)
	}
	c.client = paho.NewClient(o)
	token := c.client.Connect()
	<-token.Done()
	release()
	if err := token.Error(); err != nil {
		return err
	}
	filters := map[string]byte{}
	for _, f := range b.firmware.Filters() {
		filters[f] = 0
	}
	if len(filters) == 0 {
		return nil
	}
	token = c.client.SubscribeMultiple(filters, nil)
	if !token.WaitTimeout(patience) || token.Error() != nil {
		c.client.Disconnect(0)
		return fmt.Errorf("subscribe: %w", token.Error())
	}
	return nil
}

func (b *Board) dial(ctx context.Context) (net.Conn, error) {
	if b.options.Dial != nil {
		return b.options.Dial(ctx)
	}
	u, err := url.Parse(b.options.Broker)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
}

// send publishes messages as the faults have them. What the connection does not take in time is lost.
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
		tokens = append(tokens, c.client.Publish(m.Topic, m.QoS, m.Retained, m.Payload))
	}
	timeout := time.NewTimer(sendTimeout)
	defer timeout.Stop()
	for _, token := range tokens {
		select {
		case <-token.Done():
		case <-c.lost:
			return
		case <-timeout.C:
			return
		}
	}
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
		c.client.Publish(m.Topic, 0, m.Retained, m.Payload)
	}
}
