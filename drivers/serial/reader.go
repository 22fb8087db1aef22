package serial

import (
	"log/slog"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/port"
)

const (
	// tell is how often at most skipped lines are logged.
	tell = time.Minute
	// quiet is how long nothing has to come after opening for the first line to be a whole one: far longer than any
	// pause within a line.
	quiet = 100 * time.Millisecond
	// mostPoints bounds what a device without points of its own is offered.
	mostPoints = 100
)

// tally counts the messages of one session: lines, telegrams, frames.
type tally struct {
	Understood int // by the protocol
	Malformed  int // not a message of the protocol
	Encoding   int // not UTF-8
	TooLong    int // over MaxLine, or what else the bound is
	Checksum   int // its checksum is wrong
	Partial    int // not whole: it began before the port was open, or has no end
	Foreign    int // understood, but of no device
}

// LogValue shows the counts.
func (t tally) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("understood", t.Understood), slog.Int("malformed", t.Malformed), slog.Int("encoding", t.Encoding),
		slog.Int("too_long", t.TooLong), slog.Int("checksum", t.Checksum), slog.Int("partial", t.Partial), slog.Int("foreign", t.Foreign))
}

// reader makes readings of what a port says. One goroutine has it.
type reader struct {
	listener *listener
	out      devices.Sink
	decoder  decoder

	tally  tally
	told   tally // what was logged last
	toldAt time.Time
	notes  notes
}

func newReader(l *listener, out devices.Sink) *reader {
	r := &reader{listener: l, out: out, toldAt: time.Now(), notes: newNotes(l, out)}
	r.decoder = l.protocol.decoder(r)
	return r
}

// read reads until the port is closed or gone, and says how it ended.
func (r *reader) read(p port.Port) error {
	defer r.log()
	opened, first := time.Now(), true
	buf := make([]byte, MaxLine)
	for {
		n, err := p.Read(buf)
		if n > 0 {
			now := time.Now()
			if first && now.Sub(opened) < quiet {
				r.decoder.midway()
			}
			first = false
			r.decoder.feed(buf[:n], now)
			if r.tally != r.told && now.Sub(r.toldAt) >= tell {
				r.log()
			}
		}
		if err != nil {
			r.notes.clear()
			return err
		}
	}
}

// skipped counts what was no message; nil for what is too long to show.
func (r *reader) skipped(count *int, raw []byte) {
	*count++
	r.notes.skipped(raw)
}

// said takes one message, whose first byte came at begun: the values in it are at least that old.
func (r *reader) said(said fields, begun time.Time) {
	r.tally.Understood++
	r.notes.understood()
	owned := false
	for i, dev := range r.listener.devices {
		if !dev.owns(said) {
			continue
		}
		owned = true
		readings, news := dev.hear(said, begun)
		if news || dev.learned && r.notes.devices[i].lines == 0 {
			r.notes.announce(i)
		}
		if len(readings) > 0 {
			r.out.Publish(readings...)
		}
		r.notes.heard(i, readings)
	}
	if !owned {
		r.tally.Foreign++
	}
}

// hear makes readings of the points that a message has. It reports whether it says anything new of the device itself.
func (d *device) hear(said fields, at time.Time) (readings []devices.Reading, news bool) {
	news = d.learn(said)
	readings = make([]devices.Reading, 0, len(d.points))
	for _, p := range d.points {
		if !p.Readable {
			continue
		}
		f, ok := said.find(p.source)
		if !ok {
			continue
		}
		if f.unit != "" && f.unit != p.Unit {
			p.Unit, news = f.unit, true
		}
		v, q, err := f.value(p)
		readings = append(readings, devices.Reading{Device: d.id, Point: p.Name, Value: v, Quality: q, At: at, Err: err})
	}
	d.learned = d.learned || news
	return readings, news
}

// learn takes what a message says of its device, and reports whether that is new.
func (d *device) learn(said fields) (news bool) {
	if m, ok := said.(modeled); ok && !d.named {
		if model := m.model(); model != d.model {
			d.model, news = model, true
		}
	}
	if o, ok := said.(offerer); ok && d.open && d.accept(o) {
		news = true
	}
	return news
}

// accept takes the points that a message offers and the device does not have, and reports whether there are any.
func (d *device) accept(o offerer) (news bool) {
	for source, p := range o.offers() {
		if len(d.points) < mostPoints && d.point(p.Name) == nil {
			d.points, news = append(d.points, &point{Point: p, source: source}), true
		}
	}
	return news
}

func (r *reader) log() {
	if r.tally != r.told {
		r.listener.log.Debug(r.listener.protocol.words().messages, "count", r.tally)
		r.told, r.toldAt = r.tally, time.Now()
	}
}
