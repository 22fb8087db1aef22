package serial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/modbus"
)

const boardConfig = meterLine + `
[devices.board]
slave = 2
[devices.board.points.relay]
source = "coil:1"
write  = "coil:1"
safe   = false
poll   = "1h"
[devices.board.points.target]
source = "holding:4"
write  = "holding:4"
type   = "float32"
poll   = "1h"
[devices.board.points.flag]
source = "holding:8"
write  = "holding:8"
type   = "bit:3"
poll   = "1h"
[devices.board.points.commanded]
source    = "holding:1"
write     = "holding:1"
on        = 1
off       = 0
write_on  = 0x0100
write_off = 0x0200
poll      = "1h"
[devices.board.points.several]
source   = "holding:9"
write    = "holding:9"
multiple = true
poll     = "1h"
[devices.board.points.toggle]
kind     = "action"
write    = "holding:2"
write_on = 0x0300
[devices.board.points.reading]
source = "holding:9"
[devices.twin]
slave = 2
[devices.twin.points.relay]
source = "coil:1"
poll   = "1h"
`

func board(bus *sim.Bus) *sim.Slave {
	s := bus.Slave(2)
	sim.Relays(s)
	s.Set(sim.Holding, 0, make([]uint16, 10)...)
	s.Set(sim.Holding, 8, 0xFF00)
	s.Obey(func(address, value uint16) uint16 {
		if address == 1 || address == 2 {
			return value >> 8 & 1
		}
		return value
	})
	return s
}

func TestModbusWrites(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := board(bus)
		d, sink, stop := busline(t, bus, boardConfig)
		sink.WaitLink(t, "board", true)
		time.Sleep(2 * time.Second) // everything was read once
		for _, c := range []struct {
			point string
			value devices.Value
			table sim.Table
			at    uint16
			want  uint16
			by    byte
		}{
			{"relay", devices.Bool(true), sim.Coil, 1, 1, 5},
			{"relay", devices.Bool(false), sim.Coil, 1, 0, 5},
			{"target", float(21.3), sim.Holding, 4, 0x41AA, 16},
			{"target", float(-0.5), sim.Holding, 4, 0xBF00, 16},
			{"flag", devices.Bool(true), sim.Holding, 8, 0xFF08, 6},
			{"flag", devices.Bool(false), sim.Holding, 8, 0xFF00, 6},
			{"commanded", devices.Bool(true), sim.Holding, 1, 1, 6},
			{"commanded", devices.Bool(false), sim.Holding, 1, 0, 6},
			{"several", float(7), sim.Holding, 9, 7, 16},
		} {
			mark, heard := sink.Mark(), len(slave.Heard())
			res, err := d.Do(t.Context(), devices.Command{Device: "board", Point: c.point, Value: c.value})
			if err != nil {
				t.Fatalf("%s: %v", c.point, err)
			}
			if got := slave.Get(c.table, c.at); got != c.want {
				t.Errorf("%s = %q: it has %04x, want %04x", c.point, c.value, got, c.want)
			}
			r := sink.WaitReadingAfter(t, mark, "board", c.point, nil)
			if r.Value != c.value || r.At.Before(res.Written) || time.Since(res.Written) > 200*time.Millisecond {
				t.Errorf("%s = %q reads back as %q, %v after it was written", c.point, c.value, r.Value, r.At.Sub(res.Written))
			}
			wrote := slices.ContainsFunc(slave.Heard()[heard:], func(r sim.Request) bool { return r.Function == c.by })
			if !wrote {
				t.Errorf("%s: asked were %+v, want function %d", c.point, slave.Heard()[heard:], c.by)
			}
			if c.point == "relay" {
				if twin := sink.WaitReadingAfter(t, mark, "twin", "relay", nil); twin.Value != c.value {
					t.Errorf("the other device with that coil reads %q", twin.Value)
				}
			}
		}
		heard := len(slave.Heard())
		if _, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "toggle"}); err != nil {
			t.Error(err)
		}
		if h := slave.Heard()[heard:]; len(h) != 1 || h[0].Function != 6 || h[0].Address != 2 {
			t.Errorf("an action asked %+v", h)
		}
		for _, c := range []struct {
			point string
			value devices.Value
			want  error
		}{
			{"several", float(70000), devices.ErrRange}, {"several", float(-1), devices.ErrRange}, {"several", devices.Bool(true), devices.ErrValue},
			{"relay", float(1), devices.ErrValue}, {"reading", float(1), devices.ErrNotWritable}, {"none", float(1), devices.ErrUnknownPoint},
		} {
			if _, err := d.Do(t.Context(), devices.Command{Device: "board", Point: c.point, Value: c.value}); !errors.Is(err, c.want) || asked(err) {
				t.Errorf("%s = %q: %v, want %v", c.point, c.value, err, c.want)
			}
		}
		slave.Set(sim.Coil, 1, 1)
		stop()
		if slave.Get(sim.Coil, 1) != 0 {
			t.Error("on stop the relay was left on")
		}
	})
}

// TestModbusWriteFails: what a slave says to a write, or does not, becomes a sentence.
func TestModbusWriteFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := board(bus)
		d, sink, stop := busline(t, bus, boardConfig+"[devices.board.points.ghost]\nkind = \"switch\"\nwrite = \"coil:99\"\n")
		sink.WaitLink(t, "board", true)
		time.Sleep(2 * time.Second)
		do := func(ctx context.Context, point string) error {
			_, err := d.Do(ctx, devices.Command{Device: "board", Point: point, Value: devices.Bool(true)})
			return err
		}
		err := do(t.Context(), "ghost")
		if want := "serial meters: slave 2 refuses coil:99: illegal data address: it has no such register or coil"; err == nil || err.Error() != want || !asked(err) {
			t.Errorf("do: %v", err)
		}
		if err := slave.SetFault(sim.Stuck, true); err != nil {
			t.Fatal(err)
		}
		mark := sink.Mark()
		if err := do(t.Context(), "relay"); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Second)
		reads := 0
		for _, e := range sink.Events()[mark:] {
			if e.Kind == drivertest.Read && e.ID == "board" && e.Reading.Point == "relay" {
				if reads++; e.Reading.Value != devices.Bool(false) {
					t.Errorf("a relay that is stuck reads %v", e.Reading.Value)
				}
			}
		}
		if reads != againTimes {
			t.Errorf("a relay that is stuck is read back %d times, want %d", reads, againTimes)
		}
		if err := errors.Join(slave.SetFault(sim.Stuck, false), slave.SetFault(sim.Dead, true)); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err = do(t.Context(), "relay")
		if !errors.Is(err, devices.ErrTimeout) || !asked(err) || err.Error() != "serial meters: slave 2, coil:1: no answer in time" {
			t.Errorf("do: %v", err)
		}
		if took := time.Since(begun); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
		heard := len(slave.Heard())
		if err := do(t.Context(), "toggle"); !errors.Is(err, devices.ErrTimeout) && !errors.Is(err, devices.ErrDown) {
			t.Errorf("do: %v", err)
		}
		writes := 0
		for _, r := range slave.Heard()[heard:] {
			if r.Function == 6 {
				writes++
			}
		}
		if writes > 1 {
			t.Errorf("an action was asked %d times", writes)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := do(ctx, "relay"); err == nil {
			t.Error("a slave that is dead did it")
		}
		stop()
	})
}

// TestModbusCommandsFirst: however much is to be read, a command waits for one question at most.
func TestModbusCommandsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{Slow: 400 * time.Millisecond})
		config := strings.Replace(meterLine, `"1s"`, `"50ms"`, 1)
		for slave := 10; slave < 30; slave++ {
			sim.Climate(bus.Slave(byte(slave)))
			if err := bus.Slave(byte(slave)).SetFault(sim.Slow, true); err != nil {
				t.Fatal(err)
			}
			config += sensor(fmt.Sprintf("s%d", slave), slave)
		}
		sim.Relays(bus.Slave(2))
		d, sink, stop := busline(t, bus, config+"[devices.board]\nslave = 2\n[devices.board.points.relay]\nsource = \"coil:0\"\nwrite = \"coil:0\"\n")
		sink.WaitLink(t, "board", true)
		for i := range 20 {
			time.Sleep(130 * time.Millisecond)
			begun := time.Now()
			want := devices.Bool(i%2 == 0)
			if _, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "relay", Value: want}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took > 500*time.Millisecond {
				t.Errorf("a command took %v", took)
			}
			sink.WaitValue(t, "board", "relay", want)
			if took := time.Since(begun); took > 600*time.Millisecond {
				t.Errorf("it was confirmed after %v", took)
			}
		}
		// A line that is too slow slows all down alike.
		counts := map[int]int{}
		for slave := 10; slave < 30; slave++ {
			counts[len(bus.Slave(byte(slave)).Heard())]++
		}
		if len(counts) > 2 {
			t.Errorf("slaves were asked so often: %v", counts)
		}
		stop()
	})
}

// TestModbusStopsDuringACommand: whoever stops the driver does not wait for a slave that is gone to be asked again and again.
func TestModbusStopsDuringACommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := board(bus)
		d, sink, stop := busline(t, bus, strings.Replace(boardConfig, `poll     = "1s"`, "poll = \"1h\"\ntimeout = \"10s\"\nretries = 10", 1))
		sink.WaitLink(t, "board", true)
		time.Sleep(2 * time.Second)
		if err := slave.SetFault(sim.Dead, true); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 1)
		go func() {
			_, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "target", Value: float(7)})
			result <- err
		}()
		time.Sleep(time.Second)
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > 2*safeAll {
			t.Errorf("it took %v to stop", took)
		}
		if err := <-result; !errors.Is(err, devices.ErrDown) || !asked(err) {
			t.Errorf("do: %v", err)
		}
	})
}

// TestModbusBitIsReadAgain: the register around a bit is asked for as often as anything else.
func TestModbusBitIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := board(bus)
		d, sink, stop := busline(t, bus, strings.Replace(boardConfig, `poll     = "1s"`, `poll = "1h"`, 1))
		sink.WaitLink(t, "board", true)
		time.Sleep(2 * time.Second)
		heard := len(slave.Heard())
		if err := slave.SetFault(sim.Dead, true); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(defaultTimeout/2, func() {
			if err := slave.SetFault(sim.Dead, false); err != nil {
				t.Error(err)
			}
		})
		if _, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "flag", Value: devices.Bool(true)}); err != nil {
			t.Errorf("do: %v, asked %+v", err, slave.Heard()[heard:])
		}
		if got := slave.Get(sim.Holding, 8); got != 0xFF08 {
			t.Errorf("it has %04x", got)
		}
		if err := slave.SetFault(sim.Dead, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // it is read back
		_, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "flag", Value: devices.Bool(false)})
		if !errors.Is(err, devices.ErrTimeout) || asked(err) {
			t.Errorf("do: %v", err)
		}
		stop()
	})
}

// TestModbusReadBackIsLost: a command is confirmed although a frame of the reading back is lost, and never by an answer to what was
// asked before it.
func TestModbusReadBackIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := board(bus)
		d, sink, stop := busline(t, bus, strings.Replace(boardConfig, `poll     = "1s"`, `poll = "1h"`, 1))
		sink.WaitLink(t, "board", true)
		time.Sleep(2 * time.Second)
		// do commands the relay, with the slave silent from when it has obeyed, or heard, for some time.
		do := func(silent time.Duration) time.Time {
			t.Helper()
			changed := slave.Changed()
			go func() {
				<-changed
				if err := slave.SetFault(sim.Dead, true); err != nil {
					t.Error(err)
				}
				time.Sleep(silent)
				if err := slave.SetFault(sim.Dead, false); err != nil {
					t.Error(err)
				}
			}()
			res, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "relay", Value: devices.Bool(true)})
			if err != nil {
				t.Fatal(err)
			}
			return res.Written
		}
		confirmed := func(mark int, written time.Time) bool {
			for _, e := range sink.Events()[mark:] {
				if e.Kind == drivertest.Read && e.ID == "board" && e.Reading.Point == "relay" && e.Reading.Value == devices.Bool(true) && !e.Reading.At.Before(written) {
					return true
				}
			}
			return false
		}
		mark := sink.Mark()
		written := do(defaultTimeout / 2)
		time.Sleep(2 * defaultTimeout)
		if !confirmed(mark, written) {
			t.Error("one frame was lost, and nothing confirms the command")
		}
		mark = sink.Mark()
		written = do(2*defaultTimeout + 100*time.Millisecond)
		time.Sleep(2*defaultTimeout + 200*time.Millisecond)
		if confirmed(mark, written) {
			t.Error("the slave was silent, and something confirms the command")
		}
		mark = sink.Mark()
		res, err := d.Do(t.Context(), devices.Command{Device: "board", Point: "relay", Value: devices.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if !confirmed(mark, res.Written) {
			t.Error("nothing confirms the command, whose value was that of before")
		}
		stop()
	})
}
