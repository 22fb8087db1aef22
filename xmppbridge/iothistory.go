package xmppbridge

import (
	"context"
	"strings"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/iot"
	"tidings/xmppbridge/stream"
)

// What programs read of the history: the readings as they were kept, values at the beginnings of hours, days and so on, and the
// highest, lowest and mean of a time. Nothing of it is held in memory but a page of readings and the stanza being filled.

const (
	// recordsAtOnce is how many readings are taken from the history at a time.
	recordsAtOnce = 500
	// usualPeak is the time that peaks are of where the request does not say.
	usualPeak = 24 * time.Hour
	// peakSpans is how many pieces that time is cut into to find out when it was.
	peakSpans = 100
)

// The names of peaks and means, as XEP-0323 §3.4 has them: "temperature, Max".
const (
	minName, maxName, meanName = ", Min", ", Max", ", Mean"
)

// storedName reports where in the name of a field that of its point ends, if it is one of a peak or a mean.
func storedName(name string) (int, bool) {
	for _, suffix := range []string{minName, maxName, meanName} {
		if strings.HasSuffix(name, suffix) {
			return len(name) - len(suffix), true
		}
	}
	return 0, false
}

// summed reports whether a point has peaks.
func summed(p *mapping.Point) bool { return p.Readable && p.History && p.Kind == devices.KindNumber }

// stored reports whether the history is asked.
func (o *readout) stored() bool { return o.req.Categories&iot.Stored != 0 }

// wants reports whether a field is among those asked for, by its own name or by that of its point.
func (o *readout) wants(point, name string) bool {
	return o.fields == nil || o.fields[point] || o.fields[name]
}

// wantStored leaves out of a request what is not kept; nothing but that cannot be answered.
func (b *Bridge) wantStored(o *readout) error {
	if b.o.History != nil || !o.stored() {
		return nil
	}
	if o.req.Categories &^= iot.Stored; o.req.Categories == 0 {
		return stream.NewStanzaError(stream.FeatureNotImplemented, "the gateway keeps no readings: a section [history] in its configuration has it do so")
	}
	return nil
}

// readStored hands a readout that the disk is needed for to a worker. What fits one stanza is the answer; more comes by message.
func (b *Bridge) readStored(r *request, o *readout) error {
	d := o.dialect
	failed := func() {
		b.readouts.finish(o)
		b.send(stream.ErrorReply(r.iq, stream.NewStanzaError(stream.InternalServerError, "")))
	}
	if !b.work.do(jobKey{o.full, readoutQueue}, job{failed: failed, do: func(ctx context.Context) {
		defer b.readouts.finish(o)
		answered := false
		_, err := b.readout(ctx, o, func(part []iot.Block, more bool) bool {
			switch {
			case answered:
			case !more:
				answered = true
				b.readouts.finish(o)
				answer, err := b.answerWhole(r, o, part)
				b.reply(r.iq, answer, err)
				return true
			case d.ByMessage:
				answered = true
				b.send(stream.Result(r.iq, d.Accepted(o.req.ID, false)))
			default:
				answered = true
				b.send(stream.Result(r.iq, d.Started(o.req.ID)))
			}
			return b.sendPart(ctx, o, part, more)
		})
		switch {
		case err != nil && !answered:
			b.log.Error("history not read", "err", err)
			b.readouts.finish(o)
			b.send(stream.ErrorReply(r.iq, stream.NewStanzaError(stream.InternalServerError, "the history cannot be read")))
		case err != nil:
			b.endEarly(ctx, o, err)
		}
	}}) {
		b.readouts.finish(o)
		return b.refuseData(d, r, o.req.ID, devices.ErrBusy)
	}
	return errLater
}

// storedFields adds what the history says of a device, and reports whether more is wanted.
func (b *Bridge) storedFields(ctx context.Context, o *readout, d *mapping.Device, p *parts) (more bool, err error) {
	for i := range d.Points {
		point := &d.Points[i]
		if !point.Measured() || !point.History {
			continue
		}
		if summed(point) {
			if more, err := b.peakFields(ctx, o, d, point, p); err != nil || !more {
				return false, err
			}
		}
		if o.req.Categories&iot.Historical == 0 || !o.wants(point.Name, point.Name) {
			continue
		}
		if more, err := b.historicalFields(ctx, o, d, point, p); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// peakFields adds the highest, lowest and mean of the time asked for, each peak with when it was first.
func (b *Bridge) peakFields(ctx context.Context, o *readout, d *mapping.Device, point *mapping.Point, p *parts) (more bool, err error) {
	want := func(c iot.Category, suffix string) bool {
		return o.req.Categories&c != 0 && o.wants(point.Name, point.Name+suffix)
	}
	if !want(iot.Peak, minName) && !want(iot.Peak, maxName) && !want(iot.Computed, meanName) {
		return true, nil
	}
	from, to := o.req.From, o.until()
	if now := time.Now(); to.After(now) {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-usualPeak)
	}
	spans, err := b.o.History.Spans(ctx, d.ID, point.Name, from, to, peakSpans)
	if err != nil {
		return false, err
	}
	sum, ok := summarise(spans)
	if !ok {
		return true, nil
	}
	for _, peak := range []struct {
		suffix string
		value  float64
		of     func(Span) float64
	}{{minName, sum.min, func(s Span) float64 { return s.Min }}, {maxName, sum.max, func(s Span) float64 { return s.Max }}} {
		if !want(iot.Peak, peak.suffix) {
			continue
		}
		at, err := b.when(ctx, d.ID, point.Name, spans, to, peak.value, peak.of)
		if err != nil {
			return false, err
		}
		f := historyField(point, devices.Number(peak.value), at, iot.Peak)
		f.Name += peak.suffix
		if !p.add(f, timedFieldSize) {
			return false, nil
		}
	}
	if !want(iot.Computed, meanName) {
		return true, nil
	}
	f := historyField(point, devices.Number(rounded(sum.mean, sum.min, sum.max, sum.last)), to, iot.Computed)
	f.Name += meanName
	return p.add(f, timedFieldSize), nil
}

// when finds the first time at which a point had a value that is a peak of one of the spans.
func (b *Bridge) when(ctx context.Context, id devices.ID, point string, spans []Span, to time.Time, value float64, of func(Span) float64) (time.Time, error) {
	for i, s := range spans {
		if s.Count == 0 || of(s) != value {
			continue
		}
		if i+1 < len(spans) {
			to = spans[i+1].Start
		}
		for from := s.Start; ; {
			page, err := b.o.History.Records(ctx, id, point, from, to, recordsAtOnce)
			if err != nil {
				return time.Time{}, err
			}
			for _, r := range page {
				if f, ok := r.Value.Number(); ok && f == value {
					return r.At, nil
				}
			}
			if len(page) < recordsAtOnce {
				return s.Start, nil // it was so before
			}
			from = page[len(page)-1].At.Add(time.Millisecond)
		}
	}
	return to, nil
}

// until is the first moment that is not asked for any more.
func (o *readout) until() time.Time {
	if o.req.To.IsZero() {
		return time.Now().Add(time.Millisecond)
	}
	return o.req.To.Add(time.Millisecond)
}

// historicalFields adds the readings of a point, and its values at the beginnings of the periods asked for.
func (b *Bridge) historicalFields(ctx context.Context, o *readout, d *mapping.Device, point *mapping.Point, p *parts) (more bool, err error) {
	if o.req.Periods&iot.Readings != 0 {
		more, err = b.eachRecord(ctx, o, d, point, o.req.From, func(r Record) bool {
			return r.Value.IsZero() || p.add(historyField(point, r.Value, r.At, iot.Historical), timedFieldSize)
		})
		if err != nil || !more {
			return false, err
		}
	}
	if o.req.Periods&^iot.Readings == 0 {
		return true, nil
	}
	// What holds at a beginning is what was read last before it.
	shifts := o.req.Periods &^ iot.Readings
	to := o.until()
	if now := time.Now(); to.After(now) {
		to = now
	}
	var held devices.Value
	var next time.Time
	upTo := func(until time.Time) bool {
		for !next.IsZero() && next.Before(until) {
			if !held.IsZero() {
				f := historyField(point, held, next, iot.Historical)
				f.Periods = shifts.At(next)
				if !p.add(f, timedFieldSize) {
					return false
				}
			}
			next = shifts.Next(next)
		}
		return true
	}
	from := o.req.From
	if !from.IsZero() {
		next = shifts.Next(from.In(b.zone()).Add(-time.Millisecond))
		if held, err = b.heldAt(ctx, d.ID, point, from); err != nil {
			return false, err
		}
	}
	more, err = b.eachRecord(ctx, o, d, point, from, func(r Record) bool {
		if next.IsZero() {
			next = shifts.Next(r.At.In(b.zone()).Add(-time.Millisecond))
		}
		if !upTo(r.At) {
			return false
		}
		held = r.Value
		return true
	})
	if err != nil || !more {
		return false, err
	}
	return upTo(to), nil
}

// heldAt is what a point had at a time; zero where that is not known. Of a text that did not change within a day it is not.
func (b *Bridge) heldAt(ctx context.Context, id devices.ID, point *mapping.Point, at time.Time) (devices.Value, error) {
	switch point.Kind {
	case devices.KindNumber, devices.KindSwitch:
		spans, err := b.o.History.Spans(ctx, id, point.Name, at, at.Add(time.Millisecond), 1)
		switch {
		case err != nil || len(spans) == 0 || spans[0].Count == 0:
			return devices.Value{}, err
		case point.Kind == devices.KindSwitch:
			return devices.Bool(spans[0].Last != 0), nil
		}
		return devices.Number(spans[0].Last), nil
	}
	var held devices.Value
	for from := at.Add(-usualPeak); ; {
		page, err := b.o.History.Records(ctx, id, point.Name, from, at, recordsAtOnce)
		if err != nil {
			return held, err
		}
		if n := len(page); n > 0 {
			held, from = page[n-1].Value, page[n-1].At.Add(time.Millisecond)
		}
		if len(page) < recordsAtOnce {
			return held, nil
		}
	}
}

// eachRecord goes through the readings of a point from a time on, a page at a time, and reports whether take wanted them all. It
// ends when the readout is cancelled, or its asker may not see the device any more.
func (b *Bridge) eachRecord(ctx context.Context, o *readout, d *mapping.Device, point *mapping.Point, from time.Time, take func(Record) bool) (more bool, err error) {
	for to := o.until(); ; {
		if o.ended.Load() {
			return false, nil
		}
		if !b.sees(o.asker, d.ID) {
			return true, nil
		}
		page, err := b.o.History.Records(ctx, d.ID, point.Name, from, to, recordsAtOnce)
		if err != nil {
			return false, err
		}
		for _, r := range page {
			if !take(r) {
				return false, nil
			}
		}
		if len(page) < recordsAtOnce {
			return true, nil
		}
		from = page[len(page)-1].At.Add(time.Millisecond)
	}
}

// historyField is a field from the history.
func historyField(p *mapping.Point, v devices.Value, at time.Time, c iot.Category) iot.Field {
	f := pointField(p, devices.PointState{Value: v, At: at})
	f.Categories = c
	return f
}
