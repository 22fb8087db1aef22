package xmppbridge

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

// BenchmarkEventsUnmatched is what a changed reading costs where nobody's condition matches: 10,000 event subscriptions on
// 1,000 devices, ten programs watching each. It counts both sides, the router's and that of the goroutine that looks.
func BenchmarkEventsUnmatched(b *testing.B) {
	f := manyWatches(b, 1000, 10)
	ids := f.IDs()
	for b.Loop() {
		f.change(ids[f.n%len(ids)])
		f.n++
	}
	if sent := f.sent; sent != 0 {
		b.Errorf("%d events were sent", sent)
	}
}

// BenchmarkEventsUnwatched is the same where nobody watches the device.
func BenchmarkEventsUnwatched(b *testing.B) {
	f := manyWatches(b, 1000, 10)
	reading := []devices.Reading{{Device: "other", Point: "temperature"}}
	for b.Loop() {
		f.bridge.Readings(reading)
	}
}

// A watchedHouse is a bridge in which programs watch devices; what is sent is counted.
type watchedHouse struct {
	*devices.Registry
	bridge *Bridge
	models []*mapping.Device
	by     map[devices.ID]*mapping.Device
	spare  map[changedField]struct{}
	n      int
	sent   int
}

func (h *watchedHouse) Device(id devices.ID) (*mapping.Device, devices.State, bool) {
	state, ok := h.State(id)
	return h.by[id], state, ok
}
func (h *watchedHouse) Devices() []*mapping.Device            { return h.models }
func (h *watchedHouse) Online(devices.ID) (bool, string)      { return true, "" }
func (h *watchedHouse) Alerts() []mapping.Alert               { return nil }
func (h *watchedHouse) Barrier(context.Context, string) error { return nil }
func (h *watchedHouse) Request(context.Context, *stream.Element) (*stream.Element, error) {
	return nil, ErrNoServer
}
func (h *watchedHouse) Send(st *stream.Element) error {
	if st.Name == "message" {
		h.sent++
	}
	return nil
}

// change is a reading that differs from the one before, by less than anyone wants to know of.
func (h *watchedHouse) change(id devices.ID) {
	reading := devices.Reading{Device: id, Point: "temperature", Value: devices.Number(20 + float64(h.n%10)/100), At: time.Now()}
	h.Read(reading)
	h.bridge.Readings([]devices.Reading{reading})
	<-h.bridge.events.ready
	h.spare = h.bridge.events.look(h.spare)
	h.bridge.events.ring(context.Background())
}

func manyWatches(tb testing.TB, n, each int) *watchedHouse {
	tb.Helper()
	h := &watchedHouse{Registry: devices.NewRegistry(), by: map[devices.ID]*mapping.Device{}}
	cfg := readHouse(tb, "[access]\n\"*@example.org\" = \"viewer\"\n")
	rules := mapping.NewRules(cfg, h.Registry, mapping.RulesOptions{})
	for i := range n {
		id := devices.ID(fmt.Sprintf("d%d", i))
		rules.Step(time.Now(), mapping.Change{Announce: &devices.Info{ID: id, Points: []devices.Point{
			{Name: "temperature", Unit: "°C", Readable: true}, {Name: "humidity", Unit: "%", Readable: true}, {Name: "power", Kind: devices.KindSwitch, Readable: true}}}})
		h.by[id] = rules.Device(id)
		h.models = append(h.models, h.by[id])
		h.Read(devices.Reading{Device: id, Point: "temperature", Value: devices.Number(20), At: time.Now()})
	}
	var err error
	h.bridge, err = New(tb.Context(), Options{Name: "Bench", Addresses: mapping.NewAddresses(mapping.Component, "", domain, "home", nil),
		Access: cfg.Access, House: h, Network: h, Store: &testStore{}})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range n {
		for p := range each {
			bare, _ := h.bridge.addresses().Device(devices.ID(fmt.Sprintf("d%d", i)))
			st, err := stream.Parse(fmt.Appendf(nil, "<iq xmlns='jabber:client' type='set' id='1' from='p%d@example.org/x' to='%s'>"+
				"<subscribe xmlns='%s' id='%d' minInt='PT1S' maxInt='PT1H'><f n='temperature' by='%d'/></subscribe></iq>", p, bare, nsEvents, i, p+1))
			if err != nil {
				tb.Fatal(err)
			}
			h.bridge.Deliver(st, true)
		}
	}
	if got := h.bridge.events.total; got != n*each {
		tb.Fatalf("%d watches", got)
	}
	h.spare = h.bridge.events.look(nil)
	<-h.bridge.events.ready
	return h
}
