package link

import (
	"errors"
	"time"

	"tidings/xmppbridge/stream"
)

// Streams says how many streams a Client keeps.
type Streams int

// How many streams a Client keeps.
const (
	StreamsAuto      Streams = iota // one a device, until the server shows that it limits them: from then on the hub's alone
	StreamsPerDevice                // one a device, whatever the server does
	StreamsSingle                   // the hub's alone
)

// limitWindow is how soon after opening a stream of ours the conflict of another one is taken for a limit on their number
// rather than for someone else's login.
const limitWindow = time.Minute

// ended notes that the stream of a slot has ended, and recognises a limit on the number of streams: a server ends the oldest when
// one too many is opened (ejabberd, max_user_sessions).
func (c *Client) ended(s *slot, err error) error {
	known, ok := errors.AsType[*Error](err)
	c.mu.Lock()
	s.up = false
	c.active--
	suspect := ok && known.Condition == stream.Conflict && c.active > 0 && c.last != s && time.Since(c.lastOpen) < limitWindow
	var news error
	if suspect {
		news = c.limit(s, known)
	}
	c.broadcast()
	c.mu.Unlock()
	c.report(news)
	if suspect && c.config.Streams == StreamsPerDevice {
		// The longest wait: what opens this one again ends another.
		return failf(ErrLimit, known, "%s: ended when another stream of ours was opened (conflict)", s.keeper.jid)
	}
	return err
}

// limit takes it that the server limits streams, and returns that as news, or nil where it is none. The lock is held.
func (c *Client) limit(s *slot, cause error) error {
	if c.limited {
		return nil
	}
	c.limited = true
	n := 0
	for _, other := range c.slots {
		if !other.removed {
			n++
		}
	}
	if c.config.Streams == StreamsPerDevice {
		return failf(ErrLimit, cause,
			"account %s: %s does not let it have %d streams, as streams = \"per-device\" wants, so that devices go off and on by turns: raise the server's limit (ejabberd: max_user_sessions), or set streams to \"auto\" or \"single\"",
			c.bare, s.keeper.server, n)
	}
	c.single = true
	return failf(ErrLimit, cause,
		"account %s: %s does not let it have %d streams, one a device: from now on %s/%s speaks for all devices, as with streams = \"single\"; to have each online by itself, raise the server's limit (ejabberd: max_user_sessions) or join it as a component",
		c.bare, s.keeper.server, n, c.bare, c.config.Resource)
}

// refused notes that a stream could not be opened because of a limit, and returns what is news of that. The lock is held.
func (c *Client) refused(s *slot, err error) error {
	if !s.hub {
		return c.limit(s, err)
	}
	// Not even the hub is let in as it asks. That may pass (our predecessor's streams), so nothing follows from it.
	if c.told {
		return nil
	}
	c.told = true
	return err
}

// report says that the server limits streams; a nil err says nothing. The lock is not held.
func (c *Client) report(err error) {
	if err == nil {
		return
	}
	c.opt.Log.Warn("the server limits streams", "jid", c.bare, "err", err)
	c.mu.Lock()
	fell := c.single && !c.fallen && c.config.Streams == StreamsAuto
	c.fallen = c.single
	c.mu.Unlock()
	if fell {
		c.opt.Single(err)
	}
}
