package broker

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// localID names the listener inside the process; who comes through it needs no password.
const localID = "local"

// pairListener accepts connections from inside the process: ends of socket pairs. A socket pair, unlike net.Pipe,
// holds some bytes, so that the two sides cannot wait for each other with a write each.
type pairListener struct {
	conns  chan net.Conn // unbuffered: a connection is handed over or refused
	closed chan struct{}
	once   sync.Once
}

func newPairListener() *pairListener {
	return &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pairListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pairListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pairListener) Addr() net.Addr { return localAddr{} }

func (l *pairListener) dial(ctx context.Context) (net.Conn, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		err = ErrNotRunning
	case <-ctx.Done():
		err = ctx.Err()
	}
	_, _ = ours.Close(), theirs.Close()
	return nil, err
}

func socketPair() (a, b net.Conn, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("broker: socket pair: %w", err)
	}
	if a, err = fileConn(fds[0]); err != nil {
		_ = syscall.Close(fds[1])
		return nil, nil, err
	}
	if b, err = fileConn(fds[1]); err != nil {
		_ = a.Close()
		return nil, nil, err
	}
	return a, b, nil
}

// fileConn takes the descriptor over.
func fileConn(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "mqtt-local")
	defer f.Close() // FileConn has a copy of its own
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("broker: socket pair: %w", err)
	}
	return c, nil
}
