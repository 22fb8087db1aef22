package xmppbridge

import (
	"context"
	"time"

	"tidings/devices"
	"tidings/mapping"
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

	// Given are the contacts that were put into people's lists. The others return when it is kept.
	Given(ctx context.Context) ([]Given, error)
	SaveGiven(context.Context, Given) error
	ForgetGiven(ctx context.Context, watcher, target string) error

	// Told are the alerts that were sent lately, oldest first, and Receipting who has ever sent a receipt.
	Told(ctx context.Context) ([]Told, error)
	SaveTold(Told)
	Receipting(ctx context.Context) ([]string, error)
	SaveReceipting(person string)

	// NodeSubscriptions are those to nodes of our own.
	NodeSubscriptions(ctx context.Context) ([]NodeSubscription, error)
	SaveNodeSubscription(NodeSubscription)
	ForgetNodeSubscription(NodeSubscription)

	// Published are the nodes that were made elsewhere. The others return when it is kept.
	Published(ctx context.Context) ([]PublishedNode, error)
	SavePublished(context.Context, PublishedNode) error
	ForgetPublished(context.Context, PublishedNode) error

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

// Given remembers a contact that was put into somebody's list: what is not there any more was removed by them, and what is
// called otherwise was renamed.
type Given struct {
	Watcher string // the person's bare JID
	Target  string // our bare JID
	Name    string // as it was given; empty: they had the contact already
	Group   string
}

// A PublishedNode is a node that the gateway made at a service, or at its account's server.
type PublishedNode struct {
	Service string // the service's JID, or the account's bare JID
	Node    string
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

// A History answers from the readings that were kept. It is safe for concurrent use and may wait for a disk. Values are
// mapped ones, as people see them; times are the readings', to the millisecond.
//
// A value holds from its reading until the next: one that does not change is not kept each time it is read, and many devices
// say only what changes. It ends without a successor, which is a gap, when a reading is not good, when the device goes
// offline or is taken out, and when the gateway stops. Who draws must not join what is on two sides of a gap.
type History interface {
	// Records returns the readings of one point from a time on (zero: the first) and before another, oldest first, at most
	// limit of them: who gets that many asks again from a millisecond after the last on. No two are of the same time.
	Records(ctx context.Context, id devices.ID, point string, from, to time.Time, limit int) ([]Record, error)
	// Spans cuts the time from one moment to another into n equal spans and says of each what the numbers of a point were
	// in it; a switch counts as 0 and 1, a text not at all. A span in which nothing was known has Count 0: it is a gap.
	Spans(ctx context.Context, id devices.ID, point string, from, to time.Time, n int) ([]Span, error)
}

// A Record is one reading as it was kept. A zero value says that from then on it was not known: a gap begins.
type Record struct {
	At    time.Time
	Value devices.Value
}

// A Span sums up what was known in some time.
type Span struct {
	Start                time.Time
	Count                int           // readings in it, and the one that held when it began; the rest means nothing when it is 0
	Min, Mean, Max, Last float64       // Mean is weighted by the time that each value held
	Known                time.Duration // for how much of it the value was known
}

// Outgoing is one message about an alert to one person.
type Outgoing struct {
	Seq    int64  // order of the outbox
	ID     string // the stanza's id: the same however often it is sent
	To     string // bare JID
	Device devices.ID
	Body   string // without the words to type
	At     time.Time

	Alert    string // its name; empty: of an earlier version, and nothing can be done about it
	Occasion mapping.Occasion
	Began    time.Time     // of the alert
	Offer    []string      // commands to have at hand, in words
	Chart    time.Duration // how much of the time before a picture shows; 0: none
}

// Ref is the alert a message is about.
func (m *Outgoing) Ref() mapping.AlertRef {
	return mapping.AlertRef{Alert: m.Alert, Device: m.Device, Began: m.Began}
}

// Told is a message about an active alert that was sent: what people answer to.
type Told struct {
	ID, To string // To: bare JID
	From   string // full JID
	mapping.AlertRef
	Body    string
	At      time.Time
	Arrival Arrival
}

// Arrival is what is known of a message's arrival.
type Arrival uint8

// What may be known.
const (
	Unknown  Arrival = iota // and nothing will be: the person's clients send no receipts, or it is settled otherwise
	Awaited                 // a receipt should come
	Arrived                 // it came
	Returned                // the message did, as an error
)
