package port

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"
)

// Mode is how a port is set up.
type Mode struct {
	Baud     int  // bits a second
	DataBits int  // 5 to 8
	Parity   byte // 'N', 'E' or 'O'
	StopBits int  // 1 or 2
	// DTR is what the line is set to after opening; nil leaves it as the system does, which raises it. The system
	// raises it for a moment either way.
	DTR *bool
}

// A Port is an open serial port, or what stands for one in a test. Read and Write may be called at the same time.
type Port interface {
	// Read blocks until there is a byte, the deadline, or the port is closed or gone.
	// Close ends a Read and a Write that are under way, at once.
	io.ReadWriteCloser
	// SetReadDeadline and SetWriteDeadline end what is under way or comes later at that time, with
	// os.ErrDeadlineExceeded; the zero time takes them back.
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// An Opener opens a port by the name it has in the configuration. It gives up, with ctx's error, when ctx is done.
type Opener func(ctx context.Context, name string, mode Mode) (Port, error)

// Open opens a port: a device file of this machine, or "tcp://host:port", one of a serial server. There, and only there,
// a server that speaks RFC 2217 sets the line up; any other has it set up already, and what mode says does not count.
// "rfc2217://host:port" fails with a server that does not.
func Open(ctx context.Context, name string, mode Mode) (Port, error) {
	if IsNetwork(name) {
		return openTCP(ctx, name, mode)
	}
	return openTTY(name, mode)
}

// ParseMode reads "8N1"; the speed is not in it.
func ParseMode(s string) (Mode, error) {
	if len(s) != 3 || s[0] < '5' || s[0] > '8' || s[1] != 'N' && s[1] != 'E' && s[1] != 'O' || s[2] != '1' && s[2] != '2' {
		return Mode{}, fmt.Errorf("%q is none: it is data bits (5 to 8), parity (N, E or O) and stop bits (1 or 2), as in \"8N1\"", s)
	}
	return Mode{DataBits: int(s[0] - '0'), Parity: s[1], StopBits: int(s[2] - '0')}, nil
}

// Explain says in words what is wrong with a port and what to do about it.
func Explain(port string, err error) error {
	if IsNetwork(port) {
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("%s: gone: the serial server closed the connection (%w)", port, err)
		}
		return explainNetwork(port, err)
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w: add the user to group %s", port, err, groupOf(port))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: is it plugged in?", port, err)
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%s: gone: was it unplugged? (%w)", port, err)
	}
	return fmt.Errorf("%s: %w", port, err)
}

// groupOf is the group that may use a port: the one it belongs to, and where that cannot be told Debian's.
func groupOf(port string) string {
	info, err := os.Stat(port)
	if err != nil {
		return "dialout"
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || stat.Gid == 0 {
		return "dialout"
	}
	group, err := user.LookupGroupId(strconv.FormatUint(uint64(stat.Gid), 10))
	if err != nil {
		return "dialout"
	}
	return group.Name
}
