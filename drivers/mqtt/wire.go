package mqtt

import (
	"context"
	"log/slog"
	"sync"

	"tidings/drivers/mqtt/discovery"
)

// maxAsked bounds what conventions may want published at one time, and how many topics wait before there may be more.
const maxAsked = 20_000

// A wire does in order what the goroutine in Run asks of the broker, so that Run never waits for an answer: what the broker
// sends meanwhile has to be taken, or the answer would not get through.
type wire struct {
	session *session
	log     *slog.Logger
	more    chan struct{} // holds a token while there is something to do
	answers chan answer

	mu     sync.Mutex
	queue  []asked
	topics int  // of queue: those to be subscribed to, or not
	full   bool // something was not published, and it was said
}

type asked struct {
	kind    askedKind
	topic   string            // to subscribe to, or not
	qos     byte              // of a subscription
	message discovery.Message // to publish
}

type askedKind uint8

const (
	subscribing askedKind = iota
	unsubscribing
	publishing
)

// An answer tells which topics were asked for, and which of them the broker refuses; none when topics were let go of.
type answer struct {
	topics  []string
	refused map[string]bool
	again   bool // the broker had to be asked more than once
	last    bool // nothing more is under way
	err     error
}

func newWire(s *session, log *slog.Logger) *wire {
	return &wire{session: s, log: log, more: make(chan struct{}, 1), answers: make(chan answer)}
}

func (w *wire) add(list ...asked) {
	if len(list) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, list...)
	for i := range list {
		if list[i].kind != publishing {
			w.topics++
		}
	}
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *wire) subscribe(topics []string, qos byte) { w.ask(subscribing, topics, qos) }
func (w *wire) unsubscribe(topics []string)         { w.ask(unsubscribing, topics, 0) }

// busy reports whether so many topics wait that no more are to be added before the next answer.
func (w *wire) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.topics >= maxAsked
}

func (w *wire) ask(kind askedKind, topics []string, qos byte) {
	list := make([]asked, len(topics))
	for i, t := range topics {
		list[i] = asked{kind: kind, topic: t, qos: qos}
	}
	w.add(list...)
}

func (w *wire) publish(messages []discovery.Message) {
	for _, m := range messages {
		w.mu.Lock()
		waiting, said := len(w.queue)-w.topics, w.full
		full := waiting >= maxAsked
		w.full = full || said && waiting > maxAsked/2
		w.mu.Unlock()
		if full && !said {
			w.log.Warn("mqtt messages not published: too many wait already", "topic", clean(m.Topic))
		}
		if full {
			return
		}
		w.add(asked{kind: publishing, message: m})
	}
}

// next takes what can be asked in one packet.
func (w *wire) next() (list []asked, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.queue) && n < subscribeBatch && w.queue[n].kind == w.queue[0].kind && (n == 0 || w.queue[0].kind != publishing) {
		n++
	}
	if n > 0 && w.queue[0].kind != publishing {
		w.topics -= n
	}
	list, w.queue = w.queue[:n:n], w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
	}
	return list, w.queue == nil
}

// run does what is asked until ctx is done, or something fails.
func (w *wire) run(ctx context.Context) {
	for {
		list, last := w.next()
		if len(list) == 0 {
			select {
			case <-w.more:
				continue
			case <-ctx.Done():
				return
			}
		}
		topics, filters := make([]string, len(list)), make(map[string]byte, len(list))
		for i, a := range list {
			topics[i] = a.topic
			filters[a.topic] = max(filters[a.topic], a.qos)
		}
		switch list[0].kind {
		case publishing:
			if _, err := w.session.publish(ctx, list[0].message); err != nil && ctx.Err() == nil {
				w.log.Debug("mqtt message not published", "topic", list[0].message.Topic, "err", err)
			}
		case unsubscribing:
			w.session.unsubscribe(ctx, topics)
			select {
			case w.answers <- answer{last: last}:
			case <-ctx.Done():
				return
			}
		case subscribing:
			refused, again, err := w.session.subscribe(ctx, filters)
			if ctx.Err() != nil {
				return
			}
			select {
			case w.answers <- answer{topics: topics, refused: refused, again: again, last: last, err: err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}
}
