package serial

import (
	"fmt"
	"slices"
	"strings"

	"tidings/devices"
)

const (
	// lost is how many lines in a row that are not understood make a note on the devices of the port.
	lost = 20
	// strange is after how many good lines a device has a note that none of them was of, or a field that none of its
	// own had: some fields are said rarely.
	strange = 100
)

// notes tell people what is probably wrong with a configuration: the board speaks, and not as it says. One goroutine
// has it.
type notes struct {
	listener *listener
	out      devices.Sink

	inARow  int    // lines not understood since the last one that was
	noise   string // the note about it; empty for none
	lines   int    // understood
	devices []heard
}

// heard is what a device has said in this session.
type heard struct {
	lines  int
	points []bool // by the device's points: whether a line had it
	noted  []string
}

func newNotes(l *listener, out devices.Sink) notes {
	n := notes{listener: l, out: out, devices: make([]heard, len(l.devices))}
	for i, dev := range l.devices {
		n.devices[i].points = make([]bool, len(dev.points))
		for j, p := range dev.points {
			n.devices[i].points[j] = !p.Readable // nothing to wait for
		}
	}
	return n
}

// skipped takes a line that was not understood; nil for one that is too long to show. Many in a row are more than
// noise.
func (n *notes) skipped(line []byte) {
	if n.inARow++; n.inARow != lost {
		return
	}
	words := n.listener.protocol.words()
	n.noise = fmt.Sprintf("the last %d %s on %s were not understood: are %s right?", lost, words.messages, n.listener.port, words.keys)
	if len(line) > 0 {
		n.noise += fmt.Sprintf(" The last one: %.60q", line)
	}
	n.tellAll()
}

// understood takes a line that was, before it is known whose it is.
func (n *notes) understood() {
	n.inARow = 0
	if n.lines++; n.noise != "" || n.lines == strange {
		n.noise = ""
		n.tellAll()
	}
}

// heard takes what a line had of a device.
func (n *notes) heard(device int, readings []devices.Reading) {
	h, dev := &n.devices[device], n.listener.devices[device]
	news := false
	for _, r := range readings {
		i := slices.IndexFunc(dev.points, func(p *point) bool { return p.Name == r.Point })
		if i >= 0 && i < len(h.points) { // not one that it was offered since
			news = news || !h.points[i]
			h.points[i] = true
		}
	}
	if h.lines++; h.lines == strange || len(h.noted) > 0 && (news || h.lines == 1) {
		n.tell(device)
	}
}

// clear takes all notes back, when the port is gone: what comes next may be another board.
func (n *notes) clear() {
	fresh := newNotes(n.listener, n.out)
	for i := range fresh.devices {
		fresh.devices[i].noted = n.devices[i].noted
	}
	*n = fresh
	n.tellAll()
}

func (n *notes) tellAll() {
	for i := range n.devices {
		n.tell(i)
	}
}

// tell announces a device again where its notes have changed.
func (n *notes) tell(device int) {
	h := &n.devices[device]
	if now := n.of(device); !slices.Equal(now, h.noted) {
		h.noted = now
		n.announce(device)
	}
}

// announce announces a device with its notes.
func (n *notes) announce(device int) {
	info := n.listener.info(n.listener.devices[device])
	info.Notes = n.devices[device].noted
	n.out.Announce(info)
}

// of are the notes a device should have.
func (n *notes) of(device int) []string {
	h, dev, words := &n.devices[device], n.listener.devices[device], n.listener.protocol.words()
	var out []string
	if n.noise != "" {
		out = append(out, n.noise)
	}
	if h.lines == 0 && n.lines >= strange {
		var conditions []string
		for _, c := range dev.where {
			conditions = append(conditions, fmt.Sprintf("%s = %q", c.source, c.want))
		}
		out = append(out, fmt.Sprintf("none of %d %s on %s had %s: is where right?", n.lines, words.messages, n.listener.port, strings.Join(conditions, " and ")))
	}
	if h.lines >= strange {
		for i, p := range dev.points {
			if i < len(h.points) && !h.points[i] {
				out = append(out, fmt.Sprintf("%s: no %s has had %q so far: is source right?", p.Name, strings.TrimSuffix(words.messages, "s"), p.source))
			}
		}
	}
	return out
}
