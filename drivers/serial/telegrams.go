package serial

import (
	"errors"
	"iter"
	"time"

	"tidings/devices"
	"tidings/drivers/serial/p1"
)

// telegrams is the protocol "p1": what smart meters send. A source is a code (OBIS), with ".time" for the time of its
// value.
type telegrams struct{}

func (telegrams) source(name string, _ devices.PointKind) (devices.Point, error) {
	if !p1.IsSource(name) {
		return devices.Point{}, errors.New(`it is a code of the meter's, such as "1-0:1.8.1"`)
	}
	p, _ := p1.Describe(name)
	return p, nil
}

func (telegrams) words() words { return words{"telegrams", "baud, mode and protocol"} }

func (telegrams) decoder(r *reader) decoder {
	d := &telegramDecoder{}
	d.scanner = p1.Scanner{
		Found: func(t *p1.Telegram, begun time.Time) {
			d.within = false
			r.said(telegram{t}, begun)
		},
		Skipped: func(why error, raw []byte) {
			count := &r.tally.Malformed
			switch {
			case errors.Is(why, p1.ErrCut), errors.Is(why, p1.ErrAlone), d.within && errors.Is(why, p1.ErrNoise):
				count = &r.tally.Partial
			case errors.Is(why, p1.ErrChecksum):
				count = &r.tally.Checksum
			case errors.Is(why, p1.ErrTooLong):
				count = &r.tally.TooLong
			}
			d.within = false
			r.skipped(count, raw)
		},
	}
	return d
}

type telegramDecoder struct {
	scanner p1.Scanner
	within  bool // what comes may be the rest of a telegram
}

func (d *telegramDecoder) feed(piece []byte, at time.Time) { d.scanner.Feed(piece, at) }
func (d *telegramDecoder) midway()                         { d.within = true }

// telegram is a meter's message.
type telegram struct{ *p1.Telegram }

func (t telegram) find(source string) (field, bool) {
	v, ok := t.Find(source)
	if !ok {
		return field{}, false
	}
	f := field{kind: bare, text: v.Text, unit: v.Unit}
	if v.Clockless {
		f.kind = null
	}
	return f, true
}

func (t telegram) offers() iter.Seq2[string, devices.Point] { return t.Offers() }

func (t telegram) model() string { return t.Ident }
