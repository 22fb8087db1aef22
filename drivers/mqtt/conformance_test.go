package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/mqtt"
	"tidings/drivers/mqtt/broker"
	firmware "tidings/firmware-sim/mqtt"
)

// house is a broker with a lamp on it, both of which come and go together.
type house struct {
	t      testing.TB
	addr   string
	broker *broker.Broker
	lamp   *firmware.Device
	stop   func()
}

func newHouse(t testing.TB) *house {
	h := &house{t: t, addr: freeAddr(t)}
	h.broker = broker.New(broker.Options{Listen: []string{h.addr}, Log: testLog(t).With("side", "broker")})
	h.lamp = firmware.NewLamp(firmware.Options{Dial: h.broker.Dial, Reboot: 10 * time.Millisecond})
	t.Cleanup(h.unplug)
	return h
}

func (h *house) dial(ctx context.Context) (net.Conn, error) { return h.broker.Dial(ctx) }

func (h *house) plug() {
	if h.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	brokerDone, lampDone := make(chan error, 1), make(chan error, 1)
	go func() { brokerDone <- h.broker.Run(ctx) }()
	if err := h.broker.WaitReady(h.t.Context()); err != nil {
		h.t.Fatal(err)
	}
	go func() { lampDone <- h.lamp.Run(ctx) }()
	h.stop = func() {
		cancel()
		for _, done := range []chan error{brokerDone, lampDone} {
			if err := <-done; err != nil {
				h.t.Error(err)
			}
		}
	}
}

func (h *house) unplug() {
	if h.stop != nil {
		h.stop()
		h.stop = nil
	}
}

const lampConfig = `
[drivers.house]
type   = "mqtt"
broker = "%s"
qos    = %d

[devices.lamp]
driver       = "house"
availability = "tele/lamp/LWT"
online       = "Online"
offline      = "Offline"
[devices.lamp.points.power]
source  = "stat/lamp/POWER"
on      = "ON"
off     = "OFF"
command = "cmnd/lamp/POWER"
safe    = false
[devices.lamp.points.state]
kind   = "text"
source = "tele/lamp/STATE"
path   = "POWER"
`

func TestConformance(t *testing.T) {
	for qos := range 3 {
		t.Run(fmt.Sprintf("QoS %d", qos), func(t *testing.T) {
			drivertest.Run(t, drivertest.Fixture{New: func(t testing.TB) drivertest.Stage {
				h := newHouse(t)
				addr := "mqtt://" + h.addr
				if qos == 0 {
					addr = "local"
				}
				return drivertest.Stage{
					Type:   mqtt.Type(mqtt.Options{Local: h.dial}),
					Config: fmt.Sprintf(lampConfig, addr, qos),
					Plug:   h.plug,
					Unplug: h.unplug,
					Hush: func() {
						if err := h.lamp.SetFault(firmware.Silence, true); err != nil {
							t.Error(err)
						}
					},
					Speak: func() { h.lamp.Press(h.lamp.Power()) },
					Reads: drivertest.Point{Device: "lamp", Point: "power"},
					Command: devices.Command{
						Device: "lamp", Point: "power", Value: devices.Bool(true),
					},
					Holds: func(ctx context.Context, want devices.Value) error {
						on, _ := want.Bool()
						return h.lamp.WaitPower(ctx, on)
					},
					Safe:     devices.Bool(false),
					ReadOnly: drivertest.Point{Device: "lamp", Point: "state"},
				}
			}})
		})
	}
}
