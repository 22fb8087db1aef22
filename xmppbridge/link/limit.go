package link

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidings/xmppbridge/stream"
)

// limitWindow is how soon after opening a stream of ours the conflict of another one is taken for a limit on their number
// rather than for someone else's login.
const limitWindow = time.Minute

// limitSettle is how long further conflicts may be on their way when the first one is looked into.
const limitSettle = time.Second

// ended notes that the stream of a slot has ended, and recognises a limit on the number of streams: the server ends the
// oldest when one too many is opened, so that not s was too many but whoever came last.
func (c *Client) ended(ctx context.Context, s *slot, err error) error {
	known, ok := errors.AsType[*Error](err)
	c.mu.Lock()
	s.up = false
	c.active--
	suspect := ok && known.Condition == stream.Conflict && c.active > 0 && time.Since(c.lastOpen) < limitWindow
	counts := c.counts
	if suspect {
		c.checking++ // no more of them until it is clear how many there may be
	}
	c.broadcast()
	c.mu.Unlock()
	if !suspect {
		return err
	}
	// Whoever is logging in now is either up afterwards or not: then those that are up can be counted.
	var limited error
	turn := c.take(ctx)
	sleep(ctx, limitSettle)
	c.mu.Lock()
	c.checking--
	n := c.upCount()
	if c.counts != counts {
		// Another stream that ended likewise was looked into meanwhile. That count knew of this end, too; by now there are
		// fewer, for it had streams closed.
		n = c.budget
	}
	if turn && n > 0 {
		err = &Error{Kind: ErrLimit, Condition: known.Condition, err: known, text: fmt.Sprintf(
			"%s: ended when another stream of ours was opened: %s allows this account %d", s.keeper.jid, s.keeper.server, n)}
		if c.counts == counts {
			c.counts++
			limited = c.limit(err)
		}
	}
	c.broadcast()
	c.mu.Unlock()
	if turn {
		<-c.turn
	}
	c.report(limited)
	return err
}

// limit holds the link to the streams that are up now, and returns what to report if that is news. The lock is held,
// the turn too.
func (c *Client) limit(cause error) error {
	allowed := max(c.upCount(), 1)
	if c.budget > 0 && allowed >= c.budget {
		return nil
	}
	c.budget = allowed
	return &Error{Kind: ErrLimit, err: cause, text: fmt.Sprintf(
		"account %s: the server allows %d streams, and %d are wanted: the hub and the devices first in priority keep theirs, the others stay offline: raise the server's limit (ejabberd: max_user_sessions) or join it as a component",
		c.bare, c.budget, c.wanted())}
}

// refused notes that a stream could not be opened because of a limit, and returns what to report if that is news. The lock
// is held, the turn too.
func (c *Client) refused(s *slot, err error) error {
	if !s.hub {
		return c.limit(err)
	}
	// Not even the hub is let in as it asks. That may pass (our predecessor's streams), so no number is taken from it.
	if c.told {
		return nil
	}
	c.told = true
	return err
}

// report says that the server limits streams; a nil err says nothing. The lock is not held.
func (c *Client) report(err error) {
	if err != nil {
		c.opt.Log.Warn("the server limits streams", "jid", c.bare, "err", err)
		c.opt.Limited(err)
	}
}

func (c *Client) wanted() int {
	n := 0
	for _, s := range c.slots {
		if !s.removed {
			n++
		}
	}
	return n
}
