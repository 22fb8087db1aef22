package serial

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// Kind says which board a node is.
type Kind uint8

// The boards there are.
const (
	Greenhouse Kind = iota // JSON, a pump and a set point
	Bed                    // name=value pairs, a valve
	Logger                 // columns apart by commas, after a header
	Station                // sentences, a pump
	Meter                  // a smart meter (DSMR 5)
	OldMeter               // a smart meter without checksums (DSMR 2.2)
	Dust                   // an SDS011
)

// Options describe a node. The zero value is a greenhouse.
type Options struct {
	Kind Kind
	// Link is a path that leads to the pseudo-terminal and stays the same when it is unplugged and comes back, as one
	// under /dev/serial/by-id does. Empty: Path is the pseudo-terminal itself.
	Link string
	// Listen is a TCP address, "127.0.0.1:0": the board is behind a serial server there, and Path is "tcp://host:port".
	// Empty: it has a pseudo-terminal.
	Listen string
	// ID is printed as the field id; empty for no such field. Greenhouses and beds have one.
	ID     string
	Every  time.Duration // between two lines; default a second
	Period time.Duration // of the temperature's curve; default a minute
	// Unplugged nodes are not there until SetFault(Unplug, false).
	Unplugged bool
}

// A Fault is something that goes wrong.
type Fault string

// The faults there are.
const (
	Garbage Fault = "garbage" // noise, cut lines and lines without end between the good ones
	Cut     Fault = "cut"     // every other message lacks its end, each time another part of it
	Corrupt Fault = "corrupt" // one bit of every third message of a meter or dust sensor is wrong, and so its checksum
	Silence Fault = "silence" // it says nothing, and still obeys
	Reboot  Fault = "reboot"  // once: half a line, a boot message, and all is forgotten
	Stuck   Fault = "stuck"   // commands for the relay are taken and not done
	Unplug  Fault = "unplug"  // the port is gone
)

// Faults are all faults there are.
func Faults() []Fault { return []Fault{Garbage, Cut, Corrupt, Silence, Reboot, Stuck, Unplug} }

// State is what a node has and measures.
type State struct {
	Temperature float64 // °C
	Humidity    int     // %
	Relay       bool    // the pump or the valve
	Target      float64 // °C; the greenhouse's set point
}

// Node is one simulated board. Its methods may be called from any goroutine.
type Node struct {
	opts  Options
	begun time.Time
	kick  chan struct{} // a line is due at once; one is enough

	mu      sync.Mutex
	wire    wire   // nil while unplugged
	addr    string // where it listens, once it has
	relay   bool
	target  float64
	faults  map[Fault]bool
	changed chan struct{} // closed and replaced when relay or target change
	running *sync.WaitGroup
	lines   int // sent, for the turn of faults
	rows    int // of a logger, sent since it was plugged in
}

const firstTarget = 21.0

// New makes a node and, unless it is unplugged, its pseudo-terminal. Run lets it go.
func New(o Options) (*Node, error) {
	if o.Every <= 0 {
		o.Every = time.Second
	}
	if o.Period <= 0 {
		o.Period = time.Minute
	}
	n := &Node{
		opts: o, begun: time.Now(), kick: make(chan struct{}, 1),
		target: firstTarget, faults: map[Fault]bool{Unplug: true}, changed: make(chan struct{}),
	}
	if o.Unplugged && o.Listen == "" {
		return n, nil
	}
	if err := n.SetFault(Unplug, false); err != nil {
		return nil, err
	}
	if o.Unplugged { // it had to listen for its address
		return n, n.SetFault(Unplug, true)
	}
	return n, nil
}

// Path is the port to open. Without a link it is empty while the node is unplugged.
func (n *Node) Path() string {
	if n.opts.Link != "" {
		return n.opts.Link
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.addr != "":
		return "tcp://" + n.addr
	case n.wire == nil:
		return ""
	}
	return n.wire.name()
}

// State returns what the node has and measures now.
func (n *Node) State() State {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state()
}

// Await waits until the state matches; the error is ctx's. It looks whenever a command was obeyed, so it is for what
// commands change.
func (n *Node) Await(ctx context.Context, match func(State) bool) error {
	for {
		n.mu.Lock()
		s, changed := n.state(), n.changed
		n.mu.Unlock()
		if match(s) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// SetFault switches a fault on or off. The error is an unknown fault, or a pseudo-terminal that cannot be had.
func (n *Node) SetFault(f Fault, on bool) error {
	if !slices.Contains(Faults(), f) {
		return fmt.Errorf("fault: %q is none of %v", f, Faults())
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.faults[f] == on:
		return nil
	case f == Unplug && on:
		n.unplug()
	case f == Unplug:
		if err := n.plug(); err != nil {
			return err
		}
	}
	n.faults[f] = on
	n.hurry()
	return nil
}

// plug makes the port be there. The board starts anew: it had no power.
func (n *Node) plug() error {
	w, err := n.connect()
	if err != nil {
		return err
	}
	if n.opts.Link != "" && n.opts.Listen == "" {
		if err := relink(w.name(), n.opts.Link); err != nil {
			w.close()
			return err
		}
	}
	n.wire = w
	n.restart()
	if n.running != nil {
		n.running.Go(func() { n.obey(w) })
	}
	return nil
}

func (n *Node) connect() (wire, error) {
	if n.opts.Listen == "" {
		return openTTY()
	}
	addr := n.addr
	if addr == "" {
		addr = n.opts.Listen
	}
	t, err := listen(addr)
	if err != nil {
		return nil, err
	}
	n.addr = t.addr()
	return t, nil
}

// relink puts the link in place in one step, over what may be left of an earlier one.
func relink(target, link string) error {
	if info, err := os.Lstat(link); err == nil && info.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("link: %s is there and is not a link", link)
	}
	fresh := link + ".new"
	_ = os.Remove(fresh)
	if err := os.Symlink(target, fresh); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return os.Rename(fresh, link)
}

func (n *Node) unplug() {
	if n.wire == nil {
		return
	}
	if n.opts.Link != "" {
		_ = os.Remove(n.opts.Link)
	}
	n.wire.close()
	n.wire = nil
}

// restart forgets what commands have set.
func (n *Node) restart() {
	n.relay, n.target, n.rows = false, firstTarget, 0
	n.wake()
}

// wake tells Await to look again.
func (n *Node) wake() {
	close(n.changed)
	n.changed = make(chan struct{})
}

// hurry makes the next line be due.
func (n *Node) hurry() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// Run prints lines and obeys commands until ctx is done, also those that have come in by then; then it takes the port and its
// link away and returns nil. It is called once.
func (n *Node) Run(ctx context.Context) error {
	var readers sync.WaitGroup
	defer readers.Wait()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.unplug()
		n.running = nil
		n.faults[Unplug] = true
	}()
	n.mu.Lock()
	n.running = &readers
	if w := n.wire; w != nil {
		readers.Go(func() { n.obey(w) })
	}
	n.mu.Unlock()
	ticker := time.NewTicker(n.opts.Every)
	defer ticker.Stop()
	for {
		n.speak()
		select {
		case <-ticker.C:
		case <-n.kick:
		case <-ctx.Done():
			n.mu.Lock()
			w := n.wire
			n.mu.Unlock()
			if w != nil {
				w.drain()
			}
			return nil
		}
	}
}

// speak prints what is due.
func (n *Node) speak() {
	n.mu.Lock()
	w := n.wire
	if w == nil {
		n.mu.Unlock()
		return
	}
	if n.faults[Reboot] {
		n.faults[Reboot] = false
		message := n.message()
		n.restart()
		n.mu.Unlock()
		w.print(message[:len(message)/2] + bootMessage)
		return
	}
	text := n.message()
	n.lines++
	if n.faults[Corrupt] && n.lines%3 == 0 && (n.opts.Kind == Meter || n.opts.Kind == Dust) {
		wrong := []byte(text)
		wrong[n.lines*7%(len(wrong)-len("CRC4\r\n"))] ^= 1
		text = string(wrong)
	}
	if n.faults[Cut] && n.lines%2 == 0 {
		text = text[:n.lines*7%len(text)]
	}
	if n.faults[Garbage] {
		text = n.garbage(n.lines) + text
	}
	if n.faults[Silence] {
		text = ""
	}
	n.mu.Unlock()
	w.print(text)
}

// obey takes commands until the wire is gone.
func (n *Node) obey(w wire) {
	w.lines(func(line string) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.take(line) {
			n.wake()
			n.hurry()
		}
	})
}
