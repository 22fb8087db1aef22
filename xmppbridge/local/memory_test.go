package local

import (
	"context"
	"slices"
	"strings"
	"time"
)

// The messages and blocked addresses of a Store without a disk.

func (m *memory) Archive(a Archived) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.ContainsFunc(m.archive, func(o Archived) bool { return o.Account == a.Account && o.ID == a.ID }) {
		m.archive = append(m.archive, a)
	}
}

func (m *memory) Archived(_ context.Context, account string, q ArchiveQuery) (page ArchivePage, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Archived
	at := map[string]int{}
	for _, a := range m.archive {
		if a.Account == account {
			at[a.ID] = len(at)
		}
	}
	for _, id := range slices.Concat(q.IDs, q.After, q.Before) {
		if _, ok := at[id]; !ok {
			return page, ErrNotArchived
		}
	}
	bare, resource, full := strings.Cut(q.With, "/")
	for _, a := range m.archive {
		if a.Account == account && (q.With == "" || a.With == bare && (!full || a.Resource == resource)) && !a.At.Before(q.Start) &&
			(q.End.IsZero() || !a.At.After(q.End)) && (len(q.IDs) == 0 || slices.Contains(q.IDs, a.ID)) {
			all = append(all, a)
		}
	}
	page.Count = len(all)
	all = slices.DeleteFunc(all, func(a Archived) bool {
		return slices.ContainsFunc(q.After, func(id string) bool { return at[a.ID] <= at[id] }) ||
			slices.ContainsFunc(q.Before, func(id string) bool { return at[a.ID] >= at[id] })
	})
	page.Complete = len(all) <= q.Limit
	n := min(len(all), q.Limit)
	page.Messages = all[:n]
	if q.Last {
		page.Messages = all[len(all)-n:]
	}
	return page, nil
}

func (m *memory) PruneArchive(_ context.Context, before time.Time, messages, bytes int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.archive = slices.DeleteFunc(m.archive, func(a Archived) bool { return a.At.Before(before) })
	return nil
}

func (m *memory) PutOffline(_ context.Context, account string, stanza []byte, messages, bytes int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if messages > 0 && len(m.offline[account]) >= messages {
		return ErrFull
	}
	if m.offline == nil {
		m.offline = map[string][][]byte{}
	}
	m.offline[account] = append(m.offline[account], stanza)
	return m.broken
}

func (m *memory) TakeOffline(_ context.Context, account string) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.offline[account]
	delete(m.offline, account)
	return all, nil
}

func (m *memory) Blocked(_ context.Context, account string) (all []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for address := range m.blocked[account] {
		all = append(all, address)
	}
	return all, nil
}

func (m *memory) SetBlocked(_ context.Context, account string, add, remove []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	if m.blocked == nil {
		m.blocked = map[string]map[string]bool{}
	}
	if m.blocked[account] == nil {
		m.blocked[account] = map[string]bool{}
	}
	for _, address := range add {
		m.blocked[account][address] = true
	}
	for _, address := range remove {
		delete(m.blocked[account], address)
	}
	return nil
}
