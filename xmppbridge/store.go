package xmppbridge

import (
	"context"
	"time"

	"tidings/devices"
)

// A Store is what the bridge needs remembered over a restart. Save and Forget queue and do not wait for a disk; the
// others do.
type Store interface {
	Subscriptions(ctx context.Context) ([]Subscription, error)
	SaveSubscription(Subscription)
	ForgetSubscription(target, watcher string)

	Executed(ctx context.Context) ([]Executed, error)
	SaveExecuted(Executed)
	ForgetExecuted(from string)

	Outbox
}

// A Subscription is what the server of an account would keep of one contact (RFC 6121 §2.1.2.5), seen from our side.
type Subscription struct {
	Target  string // our bare JID
	Watcher string // theirs
	From    bool   // they receive our presence
	To      bool   // we receive theirs
	Asked   bool   // we asked for theirs
}

// Executed remembers that a command was carried out, so that a stanza that comes twice does not act twice.
type Executed struct {
	From string // full JID
	ID   string // of the stanza
	Sum  string // of what it asked
	At   time.Time
}

// An Outbox keeps alerts until the server has them.
type Outbox interface {
	// Recipients are those for whom there is something.
	Recipients(ctx context.Context) ([]string, error)
	// Pending returns the oldest messages for one of them, in order.
	Pending(ctx context.Context, to string, limit int) ([]Outgoing, error)
	// Sent takes messages out.
	Sent(ctx context.Context, seq ...int64) error
}

// Outgoing is one alert message to one person.
type Outgoing struct {
	Seq    int64  // order of the outbox
	ID     string // the stanza's id: the same however often it is sent
	To     string // bare JID
	Device devices.ID
	Body   string
	At     time.Time
}
