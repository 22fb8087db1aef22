package serial

import (
	"os"
	"time"
)

// A Terminal is a pseudo-terminal as a plain wire, for firmware that does not talk in lines. The firmware has the end of
// Read and Write; whoever opens Path has the other.
type Terminal struct{ tty *tty }

// OpenTerminal makes one. Where link is not empty it is a path that leads to it, over what may be left of an earlier one.
func OpenTerminal(link string) (*Terminal, error) {
	t, err := openTTY()
	if err != nil {
		return nil, err
	}
	if link != "" {
		if err := relink(t.slave.Name(), link); err != nil {
			t.close()
			return nil, err
		}
	}
	return &Terminal{t}, nil
}

// Path is the port to open.
func (t *Terminal) Path() string { return t.tty.slave.Name() }

// Read waits for what comes in.
func (t *Terminal) Read(b []byte) (int, error) { return t.tty.master.Read(b) }

// Write sends; what nobody reads for too long is lost, as on a wire.
func (t *Terminal) Write(b []byte) (int, error) {
	if unread(t.tty.slave) > backlog {
		_ = t.tty.ioctl(tcflsh, nil)
	}
	_ = t.tty.master.SetWriteDeadline(time.Now().Add(patience))
	return t.tty.master.Write(b)
}

// Close takes it away, and the link where it is given.
func (t *Terminal) Close(link string) {
	if link != "" {
		_ = os.Remove(link)
	}
	t.tty.close()
}

// Drain waits until the firmware has read what has come in, for as long as a line may take.
func (t *Terminal) Drain() { t.tty.drain() }
