package mapping

import (
	"slices"
	"strings"
	"time"

	"tidings/devices"
)

// An AlertRef says which alert on which device is meant.
type AlertRef struct {
	Alert  string     // empty: each
	Device devices.ID // empty: each
	Began  time.Time  // only the one that began then, to the millisecond; zero: whichever
}

// names reports whether a life is the one that is meant.
func (ref *AlertRef) names(l *life) bool {
	return ref.Began.IsZero() || ref.Began.UnixMilli() == l.id.UnixMilli()
}

// Same reports whether two mean the same.
func (ref AlertRef) Same(other AlertRef) bool {
	return ref.Alert == other.Alert && ref.Device == other.Device && ref.Began.UnixMilli() == other.Began.UnixMilli()
}

// Acknowledge says that somebody has seen alerts: they are not said again and not to others. Whoever else was told
// hears who has.
type Acknowledge struct {
	Alerts []AlertRef
	By     string // for people
}

// Silence says that somebody wants to hear nothing of alerts for a while. Others hear of them as before.
type Silence struct {
	Alert  string     // empty: all
	Device devices.ID // empty: all
	Who    string     // a normalised bare JID; empty: everyone
	For    time.Duration
	End    bool // end what was silenced of these alerts
}

// Undelivered says that a message about an alert did not reach somebody.
type Undelivered struct {
	AlertRef
	To       string
	Returned bool // for certain: it came back
}

// Bounds of silences. More than so many at once are not taken: the oldest ends.
const (
	maxSilences    = 1000
	longestSilence = 30 * 24 * time.Hour
)

// silence is one under way.
type silence struct {
	alert  string
	device devices.ID
	who    string
	until  time.Duration
}

func (s *silence) covers(i *instance) bool {
	return (s.alert == "" || s.alert == i.alert.Name) && (s.device == "" || s.device == i.device.model.ID)
}

// acknowledge notes that somebody has seen alerts. An intent follows for each that nobody had acknowledged, also where
// nobody else has to be told.
func (r *Rules) acknowledge(a *Acknowledge) {
	for _, ref := range a.Alerts {
		for _, i := range r.find(ref) {
			if i.state != active || i.life.by != "" || !ref.names(i.life) {
				continue
			}
			l := i.life
			l.by = a.By
			to, _ := r.free(i, slices.DeleteFunc(slices.Clone(l.told), func(who string) bool {
				return who == a.By || strings.HasSuffix(a.By, " in "+who) // the room that it was said in
			}))
			said := r.alert(i)
			said.To, said.Occasion, said.At = to, Acknowledged, r.at(r.now)
			said.Text = cutLine("Acknowledged by "+a.By+": "+l.text, maxMessage+200)
			r.out = append(r.out, said)
			r.alertsChanged()
			r.lookAgain(i)
		}
	}
}

// lookAgain has what is due of an alert found out anew.
func (r *Rules) lookAgain(i *instance) {
	i.device.evaluate = true
	r.touch(i.device)
}

// silence begins or ends one. What was held back and is not any more is said.
func (r *Rules) silence(s *Silence) {
	r.silences = slices.DeleteFunc(r.silences, func(old silence) bool {
		if old.until <= r.now {
			return true
		}
		same := old.who == s.Who && (s.Alert == "" || old.alert == s.Alert) && (s.Device == "" || old.device == s.Device)
		return same && (s.End || old.alert == s.Alert && old.device == s.Device)
	})
	if !s.End {
		if len(r.silences) >= maxSilences {
			r.silences = slices.Delete(r.silences, 0, 1)
		}
		r.silences = append(r.silences, silence{s.Alert, s.Device, s.Who, r.now + min(s.For, longestSilence)})
	}
	for _, i := range r.find(AlertRef{Alert: s.Alert, Device: s.Device}) {
		if i.life != nil {
			r.lookAgain(i)
		}
	}
	r.alertsChanged()
}

// Silences are those under way, the first that was begun first.
func (r *Rules) Silences() []SilenceState {
	var out []SilenceState
	for _, s := range r.silences {
		if s.until > r.now {
			out = append(out, SilenceState{s.alert, s.device, s.who, r.at(s.until)})
		}
	}
	return out
}

// undelivered notes that a message did not arrive: an alert that reached nobody escalates.
func (r *Rules) undelivered(u *Undelivered) {
	for _, i := range r.find(u.AlertRef) {
		if l := i.life; i.state == active && u.names(l) && slices.Contains(l.told, u.To) && !slices.Contains(l.fails, u.To) {
			l.fails = append(l.fails, u.To)
			if u.Returned {
				if len(l.again) == 0 {
					l.retry = r.now + returnedAgain
				}
				l.again = append(l.again, u.To)
			}
			r.lookAgain(i)
		}
	}
}

// held reports whether somebody is not to be told of an alert now, and until when.
func (r *Rules) held(i *instance, who string) (until time.Duration, held bool) {
	for k := range r.silences {
		if s := &r.silences[k]; s.until > r.now && s.who == who && s.who != "" && s.covers(i) {
			until, held = max(until, s.until), true
		}
	}
	if t, quiet := r.quiet(i); quiet {
		until, held = max(until, t), true
	}
	return until, held
}

// quiet reports whether nobody is to be told of an alert now: in its quiet hours, or because it is silenced for everyone.
func (r *Rules) quiet(i *instance) (until time.Duration, quiet bool) {
	for k := range r.silences {
		if s := &r.silences[k]; s.until > r.now && s.who == "" && s.covers(i) {
			until, quiet = max(until, s.until), true
		}
	}
	if q := i.alert.quiet; q != nil && !(q.except && i.alert.Level >= q.level) {
		if end, in := q.end(r.told.In(r.o.Location)); in {
			until, quiet = max(until, r.now+end.Sub(r.told)), true
		}
	}
	return until, quiet
}

// quietHours are the hours of each day in which an alert is not said.
type quietHours struct {
	from, to int // minutes since midnight; to may be the earlier one
	except   bool
	level    Level // said all the same from this one on, if except
}

// end reports whether t is in quiet hours, and when they end. The wall clock counts, also on the days on which it is
// put forward or back.
func (q *quietHours) end(t time.Time) (end time.Time, in bool) {
	minute := t.Hour()*60 + t.Minute()
	day := t.Day()
	switch {
	case q.from < q.to && (minute < q.from || minute >= q.to), q.from > q.to && minute < q.from && minute >= q.to:
		return time.Time{}, false
	case q.from > q.to && minute >= q.from:
		day++
	}
	end = time.Date(t.Year(), t.Month(), day, q.to/60, q.to%60, 0, 0, t.Location())
	if !end.After(t) { // the hour of the end comes twice that night
		end = t.Add(time.Minute)
	}
	return end, true
}
