package mqtt

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/mqtt/discovery"
)

// TestLater: of what is announced all the time only so much is read, and the last of it in the end. No time passes meanwhile, however
// busy the machine is.
func TestLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, testLater)
}

func testLater(t *testing.T) {
	d := &driver{config: config{discovery: []string{"homeassistant"}, prefix: "homeassistant"}, log: slog.New(slog.DiscardHandler), out: nowhere{}}
	d.reset()
	c := d.conventions[0]
	say := func(i int, label string) *discovery.Message {
		var parts []string
		for j := range 300 {
			parts = append(parts, fmt.Sprintf(`"p%d":{"p":"sensor","stat_t":"s","name":%q}`, j, label))
		}
		return discovery.NewMessage(fmt.Sprintf("homeassistant/device/d%d/config", i), fmt.Appendf(nil, `{"dev":{"ids":"d%d"},"o":{"name":"x"},"cmps":{%s}}`, i, strings.Join(parts, ",")))
	}
	last := ""
	for i := range 1500 {
		last = fmt.Sprint("label ", i)
		d.take(c, say(i%10, last))
	}
	if n := len(c.later.waiting); n != 10 || len(c.later.order) != 10 || c.later.bytes > maxLater || len(d.alarms) == 0 {
		t.Fatalf("%d wait, in order %d, %d bytes, %d alarms", n, len(c.later.order), c.later.bytes, len(d.alarms))
	}
	if d := c.Device("d9"); d == nil || d.Points[0].Label == last {
		t.Error("the last one was read at once")
	}
	d.take(c, discovery.NewMessage("homeassistant/device/d0/config", nil)) // waits its turn, too
	for len(d.alarms) > 0 && len(c.later.waiting) > 0 {
		time.Sleep(d.alarms.ring(time.Now()))
	}
	if len(c.later.waiting)+len(c.later.order)+c.later.bytes > 0 {
		t.Errorf("%+v", c.later)
	}
	if d := c.Device("d9"); d == nil || d.Points[0].Label != last {
		t.Error("the last one was not read")
	}
	if d := c.Device("d0"); d != nil {
		t.Error("what was taken back is there")
	}
}

// nowhere is a sink that forgets.
type nowhere struct{}

func (nowhere) Announce(devices.Info)            {}
func (nowhere) Withdraw(devices.ID, devices.Why) {}
func (nowhere) Publish(...devices.Reading)       {}
func (nowhere) Link(devices.ID, bool, error)     {}
func (nowhere) Health(error)                     {}
