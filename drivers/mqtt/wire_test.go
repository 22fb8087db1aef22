package mqtt

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tidings/drivers/mqtt/discovery"
)

// Devices that change all the time while the broker does not answer do not fill the memory.
func TestWireIsBounded(t *testing.T) {
	t.Parallel()
	d := &driver{topics: map[string]*topic{}, wanted: map[string]bool{}, unwanted: map[string]bool{}}
	var log strings.Builder
	w := newWire(nil, slog.New(slog.NewTextHandler(&log, nil)))
	d.session = &session{wire: w}
	const topics = 900
	for range 100 {
		for i := range topics {
			name := fmt.Sprint(i)
			d.topics[name] = &topic{name: name}
			d.wanted[name] = true
		}
		d.ask()
	}
	if len(w.queue) >= maxAsked+topics || len(d.wanted) != topics {
		t.Fatalf("%d topics wait in the session, %d in the driver", len(w.queue), len(d.wanted))
	}
	for range maxAsked + 5 {
		w.publish([]discovery.Message{*discovery.NewMessage("t", nil)})
	}
	if n := len(w.queue) - w.topics; n != maxAsked {
		t.Errorf("%d messages wait", n)
	}
	if n := strings.Count(log.String(), "not published"); n != 1 {
		t.Errorf("said %d times that some are left out", n)
	}
	subscribed := 0
	for {
		list, last := w.next()
		if len(list) == 0 {
			break
		}
		if list[0].kind == subscribing {
			subscribed += len(list)
		}
		if d.ask(); last && len(w.queue) == 0 {
			break
		}
	}
	if len(d.wanted) != 0 || subscribed < maxAsked || w.topics != 0 {
		t.Errorf("%d topics are still wanted after %d", len(d.wanted), subscribed)
	}
}
