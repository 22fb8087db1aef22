// Package store keeps what has to survive a restart in one SQLite file: alerts not yet sent, presence subscriptions,
// accounts of the server inside and what people changed in their rosters, the names devices have in addresses, commands
// carried out lately, and the state of the rules.
//
// The interfaces it implements are declared by those who need them (xmppbridge.Store, local.Store); nothing here knows
// why something is kept.
//
// One goroutine writes: Run batches what is queued into one transaction, so that a burst costs one sync of an SD card,
// not hundreds. A method that returns an error has waited for that transaction; one that does not has queued its change,
// and a failure is logged. Reading happens on a connection of its own and sees what was committed. The queue is
// bounded: a full one makes the caller wait, which only a disk that does not answer brings about.
//
//	s, err := store.Open(filepath.Join(dataDir, "tidings.db"), log)
//	go func() { done <- s.Run(ctx) }()
//	err = s.AddAlert(ctx, messages)
package store
