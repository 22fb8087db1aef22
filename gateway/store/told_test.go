package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge"
)

// Everything of an alert is kept, and what an earlier version kept can be read.
func TestOutgoingIsWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(schemas[0] + "PRAGMA user_version = 1; INSERT INTO outbox (id, recipient, device, body, at) VALUES ('old', 'alice@example.org', 'lamp', 'text', 5)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	s, _ := open(t, path)
	m := xmppbridge.Outgoing{ID: "new", To: "alice@example.org", Device: "lamp", Body: "x", At: time.UnixMilli(7), Alert: "lit", Occasion: mapping.Escalated,
		Began: time.UnixMilli(6), Offer: []string{"power off", `"'`}, Chart: 6 * time.Hour}
	if err := s.AddAlerts(t.Context(), []xmppbridge.Outgoing{m}, "k", 1); err != nil {
		t.Fatal(err)
	}
	got, err := s.Pending(t.Context(), "alice@example.org", 10)
	m.Seq = 2
	old := xmppbridge.Outgoing{Seq: 1, ID: "old", To: "alice@example.org", Device: "lamp", Body: "text", At: time.UnixMilli(5)}
	if want := []xmppbridge.Outgoing{old, m}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

// What people may answer to outlives a restart: the latest of each person, as it was last.
func TestTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	s, stop := open(t, path)
	one := func(to string, n int) xmppbridge.Told {
		return xmppbridge.Told{ID: fmt.Sprint("m", n), To: to, From: "lamp@things.example.org/lamp", Body: "Lamp is lit",
			AlertRef: mapping.AlertRef{Alert: "lit", Device: "lamp", Began: time.UnixMilli(3)}, At: time.UnixMilli(int64(n)), Arrival: xmppbridge.Awaited}
	}
	s.SaveTold(one("bob@example.org", 1))
	for n := range 2 * keptTold {
		s.SaveTold(one("alice@example.org", n))
	}
	again := one("bob@example.org", 1)
	again.Arrival = xmppbridge.Arrived
	s.SaveTold(again)
	s.SaveReceipting("bob@example.org")
	s.SaveReceipting("bob@example.org")
	stop()

	s, _ = open(t, path)
	list, err := s.Told(t.Context())
	if err != nil || len(list) != keptTold+1 || list[0] != again || list[1] != one("alice@example.org", keptTold) {
		t.Errorf("%d kept, %+v, %v", len(list), list[:min(2, len(list))], err)
	}
	people, err := s.Receipting(t.Context())
	if err != nil || !slices.Equal(people, []string{"bob@example.org"}) {
		t.Errorf("receipts of %v, %v", people, err)
	}
}
