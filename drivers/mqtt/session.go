package mqtt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

const (
	keepAlive      = 30 * time.Second
	pingTimeout    = 10 * time.Second
	handOver       = 500 * time.Millisecond // paho's Publish blocks so long when the connection takes nothing
	answerWait     = 2 * time.Second        // without an answer, and nothing it may stand behind: then a subscription is asked for again,
	answerMost     = 20 * time.Second       // or after so long while other things come,
	subscribeTries = 5                      // so often in all
	subscribeBatch = 100                    // topics of one SUBSCRIBE
	maxExact       = 10                     // messages of quality of service 2 that are under way
	qosRefused     = 0x80
)

// A session is one connection to the broker, from the answer to CONNECT to its loss. The goroutine in Run owns it;
// publish may be called from any.
type session struct {
	client paho.Client
	conn   *conn
	qos    byte
	in     *inbox
	wire   *wire

	retained atomic.Int64 // messages that came
	resumed  bool         // the broker has kept what was subscribed to before

	stop   context.CancelFunc // ends wire
	wired  sync.WaitGroup     // of wire
	pinged sync.WaitGroup     // of ping, which may be held up by the connection
	exact  chan struct{}      // holds a token for each message of quality of service 2 that is under way
	turn   chan struct{}      // held by the one that hands a message to paho, so that commands stay in order
	lost   chan struct{}      // closed when the connection is gone and paho's goroutines have ended
	err    error              // why; valid after lost
}

// connect opens a session. It ends early with ctx.
func (d *driver) connect(ctx context.Context) (*session, error) {
	s := &session{qos: d.config.qos, in: newInbox(d.whole), turn: make(chan struct{}, 1), exact: make(chan struct{}, maxExact), lost: make(chan struct{})}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var dialErr error
	var release func() bool
	var once sync.Once
	o := paho.NewClientOptions().
		AddBroker("tcp://broker"). // only a name: the connection is opened below
		SetProtocolVersion(4).
		SetClientID(d.config.clientID).
		SetUsername(d.config.username).
		SetPassword(string(d.config.password)).
		SetCleanSession(!d.config.lasting).
		SetOrderMatters(true).
		SetAutoReconnect(false). // Run makes a new session instead
		SetKeepAlive(keepAlive).
		SetPingTimeout(24 * time.Hour). // see ahead
		SetConnectTimeout(dialTimeout).
		SetWriteTimeout(handOver).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) {
			layered, raw, err := d.config.dial(ctx, d.options)
			if err != nil {
				dialErr = err
				return nil, err
			}
			s.conn = newConn(layered, raw, d.config.packet())
			release = context.AfterFunc(ctx, func() { _ = s.conn.Close() })
			return s.conn, nil
		}).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			if m.Retained() {
				s.retained.Add(1)
			}
			// paho delivers nothing else until this returns.
			s.in.push(incoming{topic: m.Topic(), payload: m.Payload(), retained: m.Retained(), at: time.Now()})
		}).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			once.Do(func() {
				s.err = err
				close(s.lost)
			})
		})
	s.client = paho.NewClient(o)
	token := s.client.Connect()
	<-token.Done() // the dial and the handshake end with ctx
	if release != nil {
		release()
	}
	if err := cmp.Or(dialErr, token.Error()); err != nil {
		if s.conn != nil {
			s.conn.end()
		}
		return nil, cmp.Or(ctx.Err(), err)
	}
	s.resumed = token.(*paho.ConnectToken).SessionPresent()
	s.wire = newWire(s, d.log)
	var running context.Context
	running, s.stop = context.WithCancel(context.Background())
	s.wired.Go(func() { s.wire.run(running) })
	s.pinged.Go(func() { s.ping(running) })
	return s, nil
}

// ping sees to it that there is something to hear from the broker, and for the broker something from here.
func (s *session) ping(ctx context.Context) {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.conn.ping()
		case <-s.lost:
			return
		case <-ctx.Done():
			return
		}
	}
}

// errUnanswered is why a connection ends on which the broker answers no subscription.
var errUnanswered = errors.New("the broker answers no subscription")

// subscribe asks for at most subscribeBatch topics and returns those the broker refuses, and whether it had to ask again: mosquitto
// drops answers too when it drops messages.
func (s *session) subscribe(ctx context.Context, filters map[string]byte) (refused map[string]bool, again bool, err error) {
	var waiting sync.WaitGroup
	defer waiting.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answered := make(chan paho.Token, subscribeTries)
	for try := range subscribeTries {
		asked := s.client.SubscribeMultiple(filters, nil)
		waiting.Go(func() {
			select {
			case <-asked.Done():
				answered <- asked
			case <-ctx.Done():
			}
		})
		answer, err := s.answer(ctx, answered)
		switch {
		case err != nil:
			return nil, false, err
		case answer != nil:
			refused, err := s.refused(answer)
			return refused, try > 0, err
		}
	}
	return nil, true, errUnanswered
}

// answer waits for one, nil when none comes. It may stand behind all that the broker had retained: while that comes, it is on its way.
func (s *session) answer(ctx context.Context, answered <-chan paho.Token) (paho.Token, error) {
	began := time.Now()
	for {
		before := s.retained.Load()
		select {
		case token := <-answered:
			return token, nil
		case <-s.lost:
			return nil, s.loss()
		case <-ctx.Done():
			return nil, fmt.Errorf("subscribe: %w", ctx.Err())
		case <-time.After(answerWait):
			switch {
			case s.retained.Load() != before, s.in.full():
				began = time.Now()
			case s.conn.ahead.empty() || time.Since(began) > answerMost:
				return nil, nil
			}
		}
	}
}

// refused are the topics that an answer refuses.
func (s *session) refused(answer paho.Token) (map[string]bool, error) {
	if err := answer.Error(); err != nil {
		s.in.close() // the session ends: who waits for room in it would keep it
		select {
		case <-s.lost: // the token fails first, and does not know why
			return nil, s.loss()
		case <-time.After(handOver):
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	refused := map[string]bool{}
	for name, qos := range answer.(*paho.SubscribeToken).Result() {
		if qos == qosRefused {
			refused[name] = true
		}
	}
	return refused, nil
}

// unsubscribe drops topics. Whether it is granted does not matter: what comes on them is dropped.
func (s *session) unsubscribe(ctx context.Context, topics []string) {
	token := s.client.Unsubscribe(topics...)
	select {
	case <-token.Done():
	case <-s.lost:
	case <-ctx.Done():
	case <-time.After(answerWait):
	}
}

// loss is why the session is lost; valid after lost.
func (s *session) loss() error { return fmt.Errorf("connection lost: %w", s.err) }

// publish hands a message over and waits until it has left (QoS 0) or the broker has it (QoS 1 and 2). It returns
// when it left. What the connection lost may or may not have reached the broker: the error says down, and nothing of
// it is sent again.
func (s *session) publish(ctx context.Context, m discovery.Message) (time.Time, error) {
	if !publishable(m.Topic) {
		return time.Time{}, fmt.Errorf("%.100q is no topic to publish to", m.Topic)
	}
	qos := s.qos
	if m.QoS >= 0 {
		qos = byte(min(m.QoS, 2))
	}
	enter := func(gate chan<- struct{}) error {
		select {
		case gate <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-s.lost:
			return fmt.Errorf("%w: %w", devices.ErrDown, s.err)
		}
	}
	if qos == 2 { // of more than 20 at once mosquitto forgets some, and acknowledges them
		if err := enter(s.exact); err != nil {
			return time.Time{}, err
		}
		defer func() { <-s.exact }()
	}
	if err := enter(s.turn); err != nil {
		return time.Time{}, err
	}
	left := time.Now() // before: the answer may overtake the acknowledgement
	token := s.client.Publish(m.Topic, qos, m.Retained, m.Payload)
	<-s.turn
	select {
	case <-token.Done():
	case <-ctx.Done():
		return time.Time{}, &devices.AskedError{Err: ctx.Err()}
	case <-s.lost:
		return time.Time{}, &devices.AskedError{Err: fmt.Errorf("%w: the connection went before the broker had said that it has the command: %w", devices.ErrDown, s.err)}
	}
	switch err := token.Error(); {
	case errors.Is(err, paho.ErrNotConnected): // paho saw it before it took the message
		return time.Time{}, fmt.Errorf("%w: %w", devices.ErrDown, err)
	case err != nil:
		return time.Time{}, &devices.AskedError{Err: fmt.Errorf("%w: %w", devices.ErrDown, err)}
	}
	return left, nil
}

// end closes the session and returns when paho's goroutines have ended.
func (s *session) end() {
	s.stop()
	s.wired.Wait()
	s.in.close()
	s.conn.bye()
	select {
	case <-s.lost: // the broker closes: everything written before has been read
	case <-time.After(byeTimeout):
	}
	s.conn.end()
	s.pinged.Wait()
	<-s.lost
}
