package mqtt

import "time"

const (
	lookCalm = 5 * time.Second // without a retained announcement that was not heard yet, then another look may be worth it
	maxLooks = 5               // a connection
	fewFresh = 500             // announcements at once are not dropped: mosquitto keeps a thousand for a slow reader
)

// Looks see to it that no announcement is missed because the broker sent more at once than it could: where many came, it is asked
// for all of them again until none is new.
type looks struct {
	asked   int       // how often again, on this connection
	open    bool      // the broker has not answered yet
	dropped bool      // it has dropped something on this connection, and may have again
	fresh   int       // announcements that were not heard before, since it was asked last
	last    time.Time // when the last of them was
	set     bool      // an alarm will see when they have calmed down
}

// look counts a retained announcement that was not heard on this connection before.
func (d *driver) look() {
	l := &d.looks
	l.fresh++
	l.last = time.Now()
	if !l.set {
		l.set = true
		d.lookAgain(d.session, l.last.Add(lookCalm))
	}
}

func (d *driver) lookAgain(s *session, at time.Time) {
	d.alarms.add(at, func(now time.Time) {
		l := &d.looks
		if d.session != s || s == nil {
			return
		}
		due := l.last.Add(lookCalm)
		if l.open || !s.conn.ahead.empty() || !s.in.empty() {
			due = now.Add(lookCalm)
		}
		if now.Before(due) {
			d.lookAgain(s, due)
			return
		}
		l.set = false
		l.dropped = l.dropped || l.asked > 0
		switch {
		case l.asked == 0 && l.fresh <= fewFresh:
		case l.asked == maxLooks:
			d.log.Warn("mqtt broker drops announcements: devices may be missing until it is connected to again", "broker", d.where(), "late", l.fresh)
		default:
			d.log.Debug("mqtt announcements are asked for again: the broker may have dropped some", "new", l.fresh)
			s.wire.subscribe(d.filters, 0)
			l.asked++
			l.open = true
		}
		l.fresh = 0
	})
}
