package wire

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// patience is how long a broker may take to let the firmware in, and to grant what it subscribes to.
const patience = 5 * time.Second

var errSilent = fmt.Errorf("the broker does not answer within %v", patience)

// A Place is where a broker is.
type Place struct {
	Broker string                                      // mqtt://host:port; ignored with Dial
	Dial   func(ctx context.Context) (net.Conn, error) // nil: by TCP
}

// Check says what is wrong with a place.
func (p Place) Check() error {
	if p.Dial != nil {
		return nil
	}
	if u, err := url.Parse(p.Broker); err != nil || u.Scheme != "mqtt" || u.Host == "" {
		return fmt.Errorf("broker: %q: write it as in mqtt://127.0.0.1:1883", p.Broker)
	}
	return nil
}

func (p Place) dial(ctx context.Context) (net.Conn, error) {
	if p.Dial != nil {
		return p.Dial(ctx)
	}
	u, err := url.Parse(p.Broker)
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
}

// Options are what is said when a connection begins.
type Options struct {
	Place
	ID, Username, Password  string
	KeepAlive, WriteTimeout time.Duration
	Will                    Will
	Filters                 map[string]byte             // with their quality of service
	Heard                   func(topic, payload string) // must not block
}

// A Will is what the broker publishes of a connection that was lost. One without a topic is none.
type Will struct {
	Topic, Payload string
	QoS            byte
	Retained       bool
}

// A Link is one connection.
type Link struct {
	Client paho.Client
	lost   chan struct{}
	err    error // why; valid after lost
	conn   net.Conn
}

// Open connects and subscribes, unless ctx ends it.
func Open(ctx context.Context, o Options) (*Link, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errSilent)
	defer cancel()
	l := &Link{lost: make(chan struct{})}
	release := func() bool { return true }
	options := paho.NewClientOptions().AddBroker("tcp://broker").
		SetClientID(o.ID).SetProtocolVersion(4).SetUsername(o.Username).SetPassword(o.Password).
		SetAutoReconnect(false).SetKeepAlive(o.KeepAlive).SetConnectTimeout(patience).SetWriteTimeout(o.WriteTimeout).
		SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (conn net.Conn, err error) {
			if l.conn, err = o.dial(ctx); err != nil {
				return nil, err
			}
			release = context.AfterFunc(ctx, func() { _ = l.conn.SetDeadline(time.Unix(1, 0)) })
			return l.conn, nil
		}).
		SetConnectionLostHandler(func(_ paho.Client, err error) {
			l.err = err
			close(l.lost)
		}).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { o.Heard(m.Topic(), string(m.Payload())) })
	if o.Will.Topic != "" {
		options.SetWill(o.Will.Topic, o.Will.Payload, o.Will.QoS, o.Will.Retained)
	}
	l.Client = paho.NewClient(options)
	token := l.Client.Connect()
	<-token.Done()
	release()
	err := token.Error()
	if err != nil {
		return nil, err
	}
	if len(o.Filters) == 0 {
		return l, nil
	}
	token = l.Client.SubscribeMultiple(o.Filters, nil)
	select {
	case <-token.Done():
		err = token.Error()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		l.Client.Disconnect(0)
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	return l, nil
}

// Lost is closed when the connection has gone.
func (l *Link) Lost() <-chan struct{} { return l.lost }

// Err is why it has; valid once it is lost.
func (l *Link) Err() error { return l.err }

// Break ends the connection without a DISCONNECT, so that the broker publishes the will, and waits for that end.
func (l *Link) Break() {
	_ = l.conn.SetDeadline(time.Unix(1, 0))
	<-l.lost
}
