package store

import (
	"database/sql"
	"sync"
	"time"

	"tidings/xmppbridge"
)

// later keeps what is saved without anybody waiting for it until the writer comes. Whoever saves must never wait for a disk:
// it is the router, or the reader of a stream. Of what is said of one thing the last counts, so there is no more of it
// than there are subscriptions and commands of the last minutes, which the bridge bounds, and messages for the archive, which
// have a bound of their own.
type later struct {
	ready chan struct{} // holds one token while something is there

	mu            sync.Mutex
	ended         bool      // nobody comes any more
	swept         time.Time // when old commands were last looked for
	subscriptions map[subscriptionKey]xmppbridge.Subscription
	executed      map[string]*senderNews               // by full JID
	nodes         map[xmppbridge.NodeSubscription]bool // false: forgotten
	archiving     archiving
	told          map[toldKey]xmppbridge.Told
	receipting    map[string]struct{}  // people
	kept          map[keptKey]float64  // numbers of drivers, as they were said in this run
	unwritten     map[keptKey]struct{} // of those
	keeping       *time.Timer          // fires when kept has waited long enough
}

// sweepExecuted is how often old commands are looked for, all of them, while there are new ones.
const sweepExecuted = time.Minute

type subscriptionKey struct{ target, watcher string }

// senderNews is what became known of one sender's commands, in the order of the fields.
type senderNews struct {
	forget bool
	done   map[executedKey]time.Time
}

type executedKey struct{ id, sum string }

func newLater() later {
	return later{ready: make(chan struct{}, 1), subscriptions: map[subscriptionKey]xmppbridge.Subscription{}, executed: map[string]*senderNews{},
		told: map[toldKey]xmppbridge.Told{}, receipting: map[string]struct{}{},
		nodes: map[xmppbridge.NodeSubscription]bool{}, kept: map[keptKey]float64{}, unwritten: map[keptKey]struct{}{}}
}

// note lets do change what is kept. It reports false once nobody comes any more.
func (l *later) note(do func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return false
	}
	do()
	select {
	case l.ready <- struct{}{}:
	default:
	}
	return true
}

// of returns what is kept of a sender, to be added to. l.mu is held.
func (l *later) of(from string) *senderNews {
	n := l.executed[from]
	if n == nil {
		n = &senderNews{done: map[executedKey]time.Time{}}
		l.executed[from] = n
	}
	return n
}

// end refuses what comes from now on.
func (l *later) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// take hands over what is there, as changes whose order between two things does not matter.
func (l *later) take() []change {
	l.mu.Lock()
	subscriptions, executed := l.subscriptions, l.executed
	told, receipting, swept := l.told, l.receipting, l.swept
	l.subscriptions, l.executed = map[subscriptionKey]xmppbridge.Subscription{}, map[string]*senderNews{}
	nodes := l.nodes
	l.nodes = map[xmppbridge.NodeSubscription]bool{}
	l.told, l.receipting = map[toldKey]xmppbridge.Told{}, map[string]struct{}{}
	kept := l.takeKept()
	l.mu.Unlock()
	batch := make([]change, 0, len(subscriptions)+len(executed)+len(told)+len(receipting)+len(kept))
	batch = append(batch, kept...)
	for _, t := range told {
		batch = append(batch, change{write: saveTold(t)})
	}
	for person := range receipting {
		batch = append(batch, change{write: exec("INSERT OR IGNORE INTO receipting (person) VALUES (?)", person)})
	}
	for key, sub := range subscriptions {
		if sub == (xmppbridge.Subscription{}) {
			batch = append(batch, change{write: exec("DELETE FROM subscription WHERE target = ? AND watcher = ?", key.target, key.watcher)})
			continue
		}
		batch = append(batch, change{write: exec("INSERT OR REPLACE INTO subscription (target, watcher, sees, seen, asked) VALUES (?, ?, ?, ?, ?)",
			sub.Target, sub.Watcher, sub.From, sub.To, sub.Asked)})
	}
	for s, keep := range nodes {
		batch = append(batch, change{write: writeNodeSubscription(s, keep)})
	}
	for from, news := range executed {
		batch = append(batch, change{write: news.write(from)})
	}
	if now := time.Now(); len(executed) > 0 && now.Sub(swept) > sweepExecuted {
		batch = append(batch, change{write: exec("DELETE FROM executed WHERE at < ?", now.Add(-keptExecuted).UnixMilli())})
		l.mu.Lock()
		l.swept = now
		l.mu.Unlock()
	}
	return batch
}

// write is the change that puts the news of a sender into the file.
func (n *senderNews) write(from string) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		if n.forget {
			if _, err := tx.Exec("DELETE FROM executed WHERE sender = ?", from); err != nil {
				return err
			}
		}
		for key, at := range n.done {
			if _, err := tx.Exec("INSERT OR REPLACE INTO executed (sender, id, sum, at) VALUES (?, ?, ?, ?)", from, key.id, key.sum, at.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	}
}
