package handover

import (
	"context"
	"sync"

	"tidings/devices"
)

// A Desk is where commands are handed over. It is safe for concurrent use.
type Desk[T any] struct {
	jobs chan Job[T]

	mu    sync.Mutex
	ended chan struct{} // closed when whoever takes the jobs ends; nil while there is nobody
}

// A Job is a command that was taken. It has to be answered, once.
type Job[T any] struct {
	What  T
	reply chan<- answer // has room for the one answer
}

type answer struct {
	result devices.Result
	err    error
}

// Answer tells whoever asked what became of it. It does not wait.
func (j Job[T]) Answer(result devices.Result, err error) { j.reply <- answer{result, err} }

// New makes a desk that nobody is at.
func New[T any]() *Desk[T] { return &Desk[T]{jobs: make(chan Job[T])} }

// Jobs are the commands to take.
func (d *Desk[T]) Jobs() <-chan Job[T] { return d.jobs }

// Open says that somebody takes jobs from now on, until shut. It may be opened again then.
func (d *Desk[T]) Open() (shut func()) {
	ended := make(chan struct{})
	d.set(ended)
	return func() {
		d.set(nil)
		close(ended)
	}
}

func (d *Desk[T]) set(ended chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = ended
}

// Ask hands a command over and waits for what becomes of it. The error is down while nobody is there to take it, ctx's when that
// is done before it was taken, and in an AskedError when that is done after.
func (d *Desk[T]) Ask(ctx context.Context, what T, down error) (devices.Result, error) {
	if err := ctx.Err(); err != nil {
		return devices.Result{}, err
	}
	d.mu.Lock()
	ended := d.ended
	d.mu.Unlock()
	if ended == nil {
		return devices.Result{}, down
	}
	reply := make(chan answer, 1)
	select {
	case d.jobs <- Job[T]{what, reply}:
	case <-ended:
		return devices.Result{}, down
	case <-ctx.Done():
		return devices.Result{}, ctx.Err()
	}
	select {
	case a := <-reply: // every job that is taken is answered
		return a.result, a.err
	case <-ctx.Done():
		return devices.Result{}, &devices.AskedError{Err: ctx.Err()}
	}
}
