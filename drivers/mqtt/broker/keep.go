package broker

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"
)

const (
	// RetainedFlush is how much of what was retained a crash may lose. Changes are written together this often, each
	// topic once, to spare an SD card.
	RetainedFlush = 30 * time.Second
	usersLook     = 2 * time.Second // between two looks at the file of users
)

// keeper keeps retained messages on disk. The zero journal keeps none.
type keeper struct {
	retained *retained
	journal  *journal
	log      *slog.Logger
	failed   bool // the last write; the log says so once
}

// openKeeper reads what is kept in dir; "" keeps nothing.
func openKeeper(dir string, max int, log *slog.Logger) (*keeper, error) {
	k := &keeper{retained: newRetained(max), log: log}
	if dir == "" {
		return k, nil
	}
	dropped := 0
	restore := func(topic string, m *message) {
		if m == nil {
			m = &message{topic: topic}
		}
		if !k.retained.set(m) {
			dropped++
		}
	}
	var err error
	if k.journal, err = openJournal(filepath.Join(dir, RetainedFile), log, restore); err != nil {
		return nil, err
	}
	k.retained.takeChanged() // it is on disk
	k.retained.expire()
	if dropped > 0 {
		log.Warn("retained messages left out: there is no room", "messages", dropped, "bytes", max, "mend", "a larger max_retained in [broker]")
	}
	return k, nil
}

// flush writes what changed.
func (k *keeper) flush() {
	k.retained.expire()
	changed := k.retained.takeChanged()
	if k.journal == nil || len(changed) == 0 {
		return
	}
	err := k.journal.append(changed)
	if err != nil {
		k.retained.giveBack(changed)
		if !k.failed {
			k.log.Error("retained messages not kept, it is tried again", "err", err)
		}
	} else if live := k.retained.used(); k.journal.outdated(live) {
		if err = k.journal.rewrite(k.retained.all()); err != nil && !k.failed {
			k.log.Error("file of retained messages not written anew, it is tried again", "err", err)
		}
	}
	k.failed = err != nil
}

// close flushes and ends.
func (k *keeper) close() {
	k.flush()
	if k.journal == nil {
		return
	}
	if err := k.journal.close(); err != nil {
		k.log.Warn("file of retained messages not closed", "err", err)
	}
}

// keep flushes every so often, and looks at the file of users, until ctx is done.
func (b *Broker) keep(ctx context.Context, k *keeper, h *hook) {
	flush, look := time.NewTicker(b.flushEvery), time.NewTicker(usersLook)
	defer flush.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-flush.C:
			k.flush()
		case <-look.C:
			h.refresh()
		case <-b.again:
			h.refresh()
		}
	}
}
