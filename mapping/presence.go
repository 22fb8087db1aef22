package mapping

import (
	"errors"
	"math"
	"slices"
	"time"

	"tidings/devices"
)

// errRestarting is why a device is offline whose driver is being restarted.
var errRestarting = errors.New("its driver is being restarted")

// whyOffline is the kind of reason behind an offline status.
type whyOffline uint8

const (
	whyNot     whyOffline = iota
	whyDown               // the driver cannot reach it
	whyUnheard            // it can be reached, but has never said anything
	whySilent             // it has not said anything for offline_after
)

// reachable decides the online state now, before any damping. A device whose silence means something is online once
// it was heard: an open port says nothing about what is at its other end. What was heard before a link was lost counts
// afterwards, or every hiccup of a broker would take its quieter devices offline.
func (r *Rules) reachable(d *device) (bool, whyOffline) {
	switch watched := d.model.watched(); {
	case !d.up:
		return false, whyDown
	case watched && !d.everHeard:
		return false, whyUnheard
	case watched && r.now-d.heard >= d.model.OfflineAfter:
		return false, whySilent
	}
	return true, whyNot
}

// causeWords is what people are told of why a device cannot be reached.
func causeWords(cause error) string {
	if cause == nil {
		return ""
	}
	return cutLine(cause.Error(), maxShownText)
}

func (r *Rules) offlineWords(d *device, why whyOffline) string {
	switch {
	case why == whySilent:
		return silentFor(r.now - d.heard)
	case why == whyUnheard:
		return noReading
	case d.cause == "":
		return "cannot be reached"
	}
	return d.cause
}

// updateReach notes a change of the undamped state.
func (r *Rules) updateReach(d *device) {
	online, _ := r.reachable(d)
	if online != d.online {
		d.online, d.changed = online, r.now
		// Its values are stale from now on, or are not any more.
		d.evaluate = true
		r.touchWatchers(d.model.ID)
	}
	// One that is heard in time was never offline, also while settle still keeps that from being announced.
	if early := r.now < r.heardBy(d) || d.early && online && d.state != announcedOnline; early != d.early {
		d.early, d.evaluate = early, true
		r.touchWatchers(d.model.ID)
	}
}

// updateOnline announces the damped state: nothing that was shorter than settle. The first time a device comes online it is
// announced at once.
func (r *Rules) updateOnline(d *device) {
	r.updateReach(d)
	state := announcedOffline
	if d.online {
		state = announcedOnline
	}
	if state == d.state || d.model.Disabled || r.now < r.announceAt(d) {
		return
	}
	d.state, d.since, d.dirty, d.evaluate = state, d.changed, true, true
	if d.since < d.appeared {
		d.since = d.appeared
	}
	r.touchWatchers(d.model.ID)
	if len(r.dependents[d.model.ID]) > 0 {
		r.touch(d) // for those that name its state
	}
	r.send(d)
}

// heardBy is when a device that can be reached and was never heard has been silent for as long as one that was: until then it
// may only be slow, as most are when the gateway has just started. It is zero for others.
func (r *Rules) heardBy(d *device) time.Duration {
	if d.model.watched() && d.up && !d.everHeard {
		return d.appeared + d.model.OfflineAfter
	}
	return 0
}

// announceAt is when the present undamped state may be announced. That a device is offline is never the first thing said of it
// at once, however short its settle: drivers first say that it exists, and then whether it can be reached.
func (r *Rules) announceAt(d *device) time.Duration {
	switch {
	case d.state != notAnnounced:
		return d.changed + d.model.Settle
	case d.online:
		return r.now
	}
	return d.appeared + max(d.model.Settle, defaultSettle)
}

// updatePresence announces a new status or show of a device whose announced state is also its present one.
func (r *Rules) updatePresence(d *device) {
	switch {
	case d.model.Disabled:
		if d.show != xa || d.state != notAnnounced {
			d.state, d.since = notAnnounced, r.now
			r.send(d)
		}
		return
	case d.show == xa:
		d.show = plain // enabled again: what follows is its first announcement
		d.dirty = true
		return
	case d.state == notAnnounced || (d.state == announcedOnline) != d.online:
		return
	}
	show, _ := r.presence(d)
	if show == d.show && !d.dirty {
		return
	}
	if r.now < r.sendAt(d, show) {
		return
	}
	r.send(d)
}

// sendAt is when the next presence that is only another status or show may go. Another show goes at once, unless shows
// themselves change quickly.
func (r *Rules) sendAt(d *device, show shows) time.Duration {
	switch {
	case show != d.show:
		return d.showSent + r.o.PresenceInterval
	case d.state == announcedOnline && d.status == noReading:
		return r.now // the first reading is what people wait for
	}
	return d.sent + r.o.PresenceInterval
}

// presence is what the presence of d should be now; the status is in r.buf.
func (r *Rules) presence(d *device) (show shows, why whyOffline) {
	switch {
	case d.model.Disabled:
		return xa, whyNot
	case d.state == announcedOffline:
		_, why = r.reachable(d)
		return plain, why
	case d.critical > 0:
		return dnd, whyNot
	case d.model.watched() && r.now-d.heard >= d.model.OfflineAfter/2:
		return away, whyNot
	}
	return plain, whyNot
}

// send emits a presence if it differs from the last one.
func (r *Rules) send(d *device) {
	d.dirty = false
	show, why := r.presence(d)
	switch {
	case show == xa:
		r.buf = append(r.buf[:0], "disabled"...)
	case d.state == announcedOffline:
		r.buf = append(r.buf[:0], r.offlineWords(d, why)...)
		if why == whySilent && d.why == whySilent {
			r.buf = append(r.buf[:0], d.status...) // the time it was silent goes on, but is no news
		}
	default:
		r.buf = r.appendStatus(r.buf[:0], d)
	}
	online := d.state == announcedOnline || show == xa
	if d.everSent && show == d.show && why == d.why && d.wasOnline == online && string(r.buf) == d.status {
		return
	}
	if show != d.show {
		d.showSent = r.now
	}
	d.sent, d.everSent = r.now, true
	d.show, d.why, d.wasOnline = show, why, online
	if string(r.buf) != d.status {
		d.status = string(r.buf)
	}
	r.out = append(r.out, Presence{
		Device: d.model.ID, Online: online, Show: showNames[show], Status: d.status, Since: r.at(d.since),
	})
}

// statusSeparator stands between the points of a status.
const statusSeparator = " · "

// appendStatus writes what the primary points read, or that nothing was read yet.
func (r *Rules) appendStatus(dst []byte, d *device) []byte {
	before := len(dst)
	dst = d.model.appendPrimary(dst, func(k int, p *Point) devices.PointState {
		state, _ := r.reg.Point(d.model.ID, p.Name)
		if d.shown != nil && state.Quality == devices.Good && !math.IsNaN(d.shown[k]) {
			state.Value = devices.Number(d.shown[k])
		}
		return state
	})
	if len(dst) == before && slices.ContainsFunc(d.model.Primary, func(i int) bool { return d.model.Points[i].Readable }) {
		return append(dst, noReading...)
	}
	return dst
}

// needsName reports whether a value of the primary point k says too little without the name of the point: a bare number, what another
// one is to be, or one beside another of its unit; a switch that is merely on, unless it is the device itself.
func (d *Device) needsName(k int) bool {
	p := &d.Points[d.Primary[k]]
	switch p.Kind {
	case devices.KindNumber:
		return p.Unit == "" || p.aim || slices.ContainsFunc(d.Primary[:k], func(i int) bool { return d.Points[i].Unit == p.Unit && !d.Points[i].aim })
	case devices.KindSwitch:
		return wordsOf(p.Class) == plainWords && p.Name != d.Class
	}
	return false
}

// damped reports whether one of the primary points has a deadband.
func (s *shape) damped(primary []int) bool {
	for _, i := range primary {
		if s.points[i].Deadband > 0 {
			return true
		}
	}
	return false
}

func nothingShown(n int) []float64 {
	shown := make([]float64, n)
	for i := range shown {
		shown[i] = math.NaN()
	}
	return shown
}

// noteShown notes a reading of the primary point k and reports whether it may change the status: not when it is nearer to
// the number shown than the deadband.
func (d *device) noteShown(k int, reading devices.Reading) bool {
	if d.shown == nil {
		return true
	}
	f, ok := reading.Value.Number()
	if !ok || reading.Quality != devices.Good {
		d.shown[k] = math.NaN()
		return true
	}
	deadband := d.model.Points[d.model.Primary[k]].Deadband
	// The factor is for what binary fractions take away: 21.6 - 21.4 is a little less than 0.2.
	if math.Abs(f-d.shown[k]) < deadband*(1-1e-9) {
		return false
	}
	d.shown[k] = f
	return true
}
