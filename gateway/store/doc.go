// Package store keeps what has to survive a restart, in SQLite: alerts not yet sent, presence subscriptions,
// accounts of the server inside and what people changed in their rosters, the names devices have in addresses, commands
// carried out lately, and the state of the rules.
//
// The interfaces it implements are declared by those who need them (xmppbridge.Store, local.Store); nothing here knows
// why something is kept.
//
// One goroutine writes: Run batches what is there into one transaction, so that a burst costs one sync of an SD card,
// not hundreds. A method that returns an error has waited for that transaction; its queue is bounded, and a full one makes
// the caller wait, which only a disk that does not answer brings about. A method that returns none never waits: of each
// thing the last is kept in memory until it is written, and a failure is logged. Reading happens on a connection of its
// own and sees what was committed.
//
// Readings are a [History], in a file of its own that is bounded by age and size. What comes is packed in memory; a goroutine
// writes what is new every so often, as one row for all points, and about once an hour makes blocks of it, a row a point.
// Whoever reads sees both as one. What it took from the router never waited for the disk.
//
//	s, err := store.Open(filepath.Join(dataDir, "tidings.db"), log)
//	go func() { done <- s.Run(ctx) }()
//	err = s.AddAlerts(ctx, messages, "rules", state)
package store
