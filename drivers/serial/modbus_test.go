package serial

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/modbus"
)

// busline starts a driver on a simulated bus, in the time of the bubble. Its devices are to be put on the bus first.
func busline(t *testing.T, bus *sim.Bus, config string) (*driver, *drivertest.Sink, func()) {
	t.Helper()
	b := newBench()
	d := drivertest.Build(t, Type(b.open), config).(*driver)
	sink := &drivertest.Sink{}
	stop := drivertest.Start(t, d, sink)
	var serving sync.WaitGroup
	serving.Go(func() {
		for wire := range b.boards {
			bus.Serve(wire)
		}
	})
	return d, sink, func() {
		stop()
		close(b.boards)
		serving.Wait()
		if broken := sink.Violations(); len(broken) > 0 {
			t.Error(strings.Join(broken, "\n"))
		}
	}
}

func newBus(t *testing.T, o sim.Options) *sim.Bus {
	t.Helper()
	o.Unplugged = true
	bus, err := sim.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return bus
}

const meterLine = `
[drivers.meters]
port     = "/dev/ttyTEST0"
protocol = "modbus"
poll     = "1s"
`

// sensor is a device with one register.
func sensor(name string, slave int) string {
	return fmt.Sprintf("[devices.%s]\nslave = %d\n[devices.%s.points.t]\nsource = \"input:1\"\n", name, slave, name)
}

func float(f float64) devices.Value { return devices.Number(f) }

func TestModbusReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		meter := bus.Slave(1)
		sim.Meter(meter)
		meter.Set(sim.Holding, 10, 0xFFFE, 0x8001, 0x5678, 0x1234, 0x7FC0, 0)
		meter.Set(sim.Discrete, 3, 1)
		_, sink, stop := busline(t, bus, meterLine+`
[devices.meter]
slave = 1
[devices.meter.points.power]
source = "input:12"
type   = "float32"
[devices.meter.points.energy]
source = "input:0x48"
type   = "float32"
poll   = "1m"
[devices.meter.points.signed]
source = "holding:10"
type   = "int16"
[devices.meter.points.high]
source = "holding:11"
type   = "bit:15"
[devices.meter.points.low]
source = "holding:11"
type   = "bit:1"
[devices.meter.points.mode]
source = "holding:11"
on     = 32769
off    = 1
[devices.meter.points.swapped]
source = "holding:12"
type   = "uint32"
order  = "CDAB"
[devices.meter.points.broken]
source = "holding:14"
type   = "float32"
[devices.meter.points.contact]
source = "discrete:3"
`)
		sink.WaitValue(t, "meter", "power", float(480))
		sink.WaitValue(t, "meter", "energy", float(1234.5))
		sink.WaitValue(t, "meter", "signed", float(-2))
		sink.WaitValue(t, "meter", "high", devices.Bool(true))
		sink.WaitValue(t, "meter", "low", devices.Bool(false))
		sink.WaitValue(t, "meter", "mode", devices.Bool(true))
		sink.WaitValue(t, "meter", "swapped", float(0x12345678))
		sink.WaitValue(t, "meter", "contact", devices.Bool(true))
		sink.WaitReading(t, "meter", "broken", func(r devices.Reading) bool { return r.Quality == devices.Unknown })
		time.Sleep(time.Minute)
		counts := map[string]int{}
		for _, r := range meter.Heard() {
			counts[fmt.Sprintf("%d:%d+%d", r.Function, r.Address, r.Count)]++
		}
		for what, want := range map[string]int{"4:12+2": 60, "4:72+2": 2, "3:10+6": 60, "2:3+1": 60} {
			if n := counts[what]; n < want-1 || n > want+2 {
				t.Errorf("%s was read %d times, want %d", what, n, want)
			}
		}
		if len(counts) != 4 {
			t.Errorf("read were %v", counts)
		}
		if info, _ := sink.Announced("meter"); info.Address != "/dev/ttyTEST0 slave 1" || info.Points[0].Writable || len(info.Notes) > 0 {
			t.Errorf("announced %+v", info)
		}
		meter.Set(sim.Holding, 11, 5)
		sink.WaitReading(t, "meter", "mode", func(r devices.Reading) bool {
			return r.Err != nil && r.Err.Error() == "value: 5 is neither on = 32769 nor off = 1"
		})
		stop()
	})
}

// TestModbusDeadSlave: one that does not answer costs the others nothing that could be noticed, whatever it did before.
func TestModbusDeadSlave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		config := meterLine
		for slave := 1; slave <= 5; slave++ {
			sim.Climate(bus.Slave(byte(slave)))
			config += sensor(fmt.Sprintf("s%d", slave), slave)
		}
		dead := bus.Slave(3)
		_, sink, stop := busline(t, bus, config)
		for slave := 1; slave <= 5; slave++ {
			sink.WaitLink(t, devices.ID(fmt.Sprintf("s%d", slave)), true)
		}
		time.Sleep(10 * time.Second)
		if err := dead.SetFault(sim.Dead, true); err != nil {
			t.Fatal(err)
		}
		cause := sink.WaitLink(t, "s3", false)
		if want := `serial meters: slave 3: no answer within 500ms, asked 3 times: is it on, and are slave, baud and mode right?`; cause.Error() != want {
			t.Errorf("cause %q", cause)
		}
		before := map[byte]int{}
		for _, slave := range bus.Slaves() {
			before[slave] = len(bus.Slave(slave).Heard())
		}
		time.Sleep(10 * time.Minute)
		for _, slave := range bus.Slaves() {
			heard := bus.Slave(slave).Heard()[before[slave]:]
			if n := len(heard); slave == 3 && (n < 15 || n > 25) || slave != 3 && n < 595 {
				t.Errorf("slave %d was asked %d times in ten minutes", slave, n)
			}
			for i := range heard[1:] {
				if gap := heard[i+1].At.Sub(heard[i].At); slave != 3 && gap > 1600*time.Millisecond {
					t.Errorf("slave %d was not asked for %v", slave, gap)
				}
			}
		}
		if up, _ := sink.Linked("s1"); !up {
			t.Error("another slave went down")
		}
		if err := dead.SetFault(sim.Dead, false); err != nil {
			t.Fatal(err)
		}
		back := time.Now()
		sink.WaitLink(t, "s3", true)
		if took := time.Since(back); took > restMost+time.Second {
			t.Errorf("it was back for %v before anybody noticed", took)
		}
		stop()
	})
}

// TestModbusNobody: a line on which nothing answers is not well, and says what to look at.
func TestModbusNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		sim.Climate(bus.Slave(2))
		bus.Hush(true)
		d, sink, stop := busline(t, bus, meterLine+sensor("a", 1)+sensor("b", 2)+"write = \"holding:1\"\n")
		err := sink.WaitHealth(t, func(err error) bool { return err != nil })
		if want := "serial meters: /dev/ttyTEST0: nothing on the line answers: are baud and mode right, and the two wires not swapped?"; err.Error() != want {
			t.Errorf("health %q", err)
		}
		_, err = d.Do(t.Context(), devices.Command{Device: "b", Point: "t", Value: float(1)})
		if !errors.Is(err, devices.ErrDown) || asked(err) {
			t.Errorf("do: %v", err)
		}
		bus.Hush(false)
		sink.WaitHealth(t, func(err error) bool { return err == nil })
		sink.WaitLink(t, "b", true)
		sink.WaitLink(t, "a", false)
		stop()
	})
}

// TestModbusMissingRegister: a block with a register that is not there is read in parts until it is known which one it is; the
// others keep coming, and it is said which.
func TestModbusMissingRegister(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		slave := bus.Slave(1)
		config := meterLine + "[devices.d]\nslave = 1\n"
		for i := range 10 {
			if i != 6 {
				slave.Set(sim.Holding, uint16(i), uint16(100+i))
			}
			config += fmt.Sprintf("[devices.d.points.p%d]\nsource = \"holding:%d\"\n", i, i)
		}
		_, sink, stop := busline(t, bus, config)
		for i := range 10 {
			name := fmt.Sprintf("p%d", i)
			if i != 6 {
				sink.WaitValue(t, "d", name, float(float64(100+i)))
				continue
			}
			r := sink.WaitReading(t, "d", name, func(r devices.Reading) bool { return r.Quality == devices.Faulty })
			if want := "holding:6: illegal data address: it has no such register or coil"; r.Err.Error() != want {
				t.Errorf("p6: %v", r.Err)
			}
		}
		synctest.Wait() // the note follows the reading
		info, _ := sink.Announced("d")
		if want := []string{"p6: slave 1 refuses holding:6: illegal data address: it has no such register or coil"}; !slices.Equal(info.Notes, want) {
			t.Errorf("notes %q", info.Notes)
		}
		before := len(slave.Heard())
		time.Sleep(time.Minute)
		counts := map[string]int{}
		for _, r := range slave.Heard()[before:] {
			counts[fmt.Sprintf("%d+%d", r.Address, r.Count)]++
		}
		if len(counts) > 5 || counts["6+1"] > 2 || counts["0+5"] < 58 {
			t.Errorf("then it is read in %v", counts)
		}
		slave.Set(sim.Holding, 6, 106) // it learns
		sink.WaitValue(t, "d", "p6", float(106))
		synctest.Wait()
		if info, _ := sink.Announced("d"); len(info.Notes) > 0 {
			t.Errorf("it has it, and there are notes %q", info.Notes)
		}
		stop()
	})
}

// TestModbusMuteSlave: one that says nothing when it is asked for what it does not have is there all the same, and what it does
// not have is found.
func TestModbusMuteSlave(t *testing.T) {
	t.Parallel()
	for name, missing := range map[string]uint16{"first": 0, "last": 3, "alone": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus := newBus(t, sim.Options{})
				slave := bus.Slave(1)
				config := meterLine + "[devices.d]\nslave = 1\n"
				for _, i := range []uint16{0, 1, 2, 3, 50, 100} {
					if i != missing {
						slave.Set(sim.Holding, i, 100+i)
					}
					config += fmt.Sprintf("[devices.d.points.p%d]\nsource = \"holding:%d\"\n", i, i)
				}
				if err := slave.SetFault(sim.Mute, true); err != nil {
					t.Fatal(err)
				}
				_, sink, stop := busline(t, bus, config)
				begun := time.Now()
				for _, i := range []uint16{0, 1, 2, 3, 50, 100} {
					if i != missing {
						sink.WaitValue(t, "d", fmt.Sprintf("p%d", i), float(float64(100+i)))
					}
				}
				point := fmt.Sprintf("p%d", missing)
				r := sink.WaitReading(t, "d", point, func(r devices.Reading) bool { return r.Quality == devices.Faulty })
				if want := fmt.Sprintf("holding:%d: no answer, though it answers to other questions: does it have that?", missing); r.Err.Error() != want {
					t.Error(r.Err)
				}
				if took := time.Since(begun); took > 20*time.Second {
					t.Errorf("it took %v", took)
				}
				info, _ := sink.Announced("d")
				if want := []string{fmt.Sprintf("%s: slave 1 does not answer when it is asked for holding:%d: is source right?", point, missing)}; !slices.Equal(info.Notes, want) {
					t.Errorf("notes %q", info.Notes)
				}
				mark, heard := sink.Mark(), len(slave.Heard())
				time.Sleep(10 * time.Minute)
				for _, e := range sink.Events()[mark:] {
					if e.Kind == drivertest.Linked {
						t.Errorf("link %t %v", e.Up, e.Err)
					}
				}
				asked := 0
				for _, r := range slave.Heard()[heard:] {
					if r.Address == 50 {
						asked++
					}
				}
				if asked < 550 {
					t.Errorf("another register was asked for %d times in ten minutes", asked)
				}
				if err := slave.SetFault(sim.Dead, true); err != nil {
					t.Fatal(err)
				}
				sink.WaitLink(t, "d", false)
				time.Sleep(3 * time.Minute)
				if err := slave.SetFault(sim.Dead, false); err != nil {
					t.Fatal(err)
				}
				back := time.Now()
				sink.WaitLink(t, "d", true)
				if took := time.Since(back); took > 2*restMost+time.Second {
					t.Errorf("it was back for %v before anybody noticed", took)
				}
				stop()
				if info, _ := sink.Announced("d"); len(info.Notes) > 0 {
					t.Errorf("the line is gone, and there are notes %q", info.Notes)
				}
			})
		})
	}
}

// TestModbusGap: what no point has is read only where a key allows it, and a block is no longer than the slave takes.
func TestModbusGap(t *testing.T) {
	t.Parallel()
	for keys, want := range map[string]string{
		"":                      "[0+1 2+1 20+1]",
		"gap = 1\n":             "[0+3 20+1]",
		"gap = 30\n":            "[0+21]",
		"gap = 30\nblock = 8\n": "[0+3 20+1]",
	} {
		synctest.Test(t, func(t *testing.T) {
			bus := newBus(t, sim.Options{})
			bus.Slave(1).Set(sim.Holding, 0, make([]uint16, 30)...)
			_, sink, stop := busline(t, bus, meterLine+"[devices.d]\nslave = 1\n"+keys+`
[devices.d.points.a]
source = "holding:0"
[devices.d.points.b]
source = "holding:2"
[devices.other]
slave = 1
[devices.other.points.c]
source = "holding:20"
`)
			sink.WaitReading(t, "d", "b", nil)
			sink.WaitReading(t, "other", "c", nil)
			var got []string
			for _, r := range bus.Slave(1).Heard() {
				got = append(got, fmt.Sprintf("%d+%d", r.Address, r.Count))
			}
			slices.Sort(got)
			if s := fmt.Sprint(slices.Compact(got)); s != want {
				t.Errorf("%q: read %s, want %s", keys, s, want)
			}
			stop()
		})
	}
}

// TestModbusFaults: whatever a slave does to its answers, what is read is what it has, and it does not go down.
func TestModbusFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []sim.Fault{sim.Slow, sim.Late, sim.Damaged, sim.Partial, sim.Noisy} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus := newBus(t, sim.Options{})
				slave := bus.Slave(1)
				config := meterLine + "[devices.d]\nslave = 1\n"
				for i := range 8 { // apart, so that each is a question like the others
					slave.Set(sim.Input, uint16(10*i), uint16(1000+i))
					config += fmt.Sprintf("[devices.d.points.p%d]\nsource = \"input:%d\"\n", i, 10*i)
				}
				if err := slave.SetFault(fault, true); err != nil {
					t.Fatal(err)
				}
				_, sink, stop := busline(t, bus, config)
				time.Sleep(5 * time.Minute)
				good := 0
				for _, e := range sink.Events() {
					switch {
					case e.Kind == drivertest.Linked && !e.Up:
						t.Errorf("down: %v", e.Err)
					case e.Kind == drivertest.Read:
						good++
						if want := float(1000 + float64(e.Reading.Point[1]-'0')); e.Reading.Value != want {
							t.Errorf("%s reads %v (%v)", e.Reading.Point, e.Reading.Value, e.Reading.Err)
						}
					}
				}
				if good < 150 {
					t.Errorf("%d readings in five minutes", good)
				}
				stop()
			})
		})
	}
}

func TestModbusBusy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := newBus(t, sim.Options{})
		sim.Climate(bus.Slave(1))
		_, sink, stop := busline(t, bus, meterLine+sensor("a", 1))
		sink.WaitValue(t, "a", "t", float(214))
		if err := bus.Slave(1).SetFault(sim.Busy, true); err != nil {
			t.Fatal(err)
		}
		r := sink.WaitReading(t, "a", "t", func(r devices.Reading) bool { return r.Quality == devices.Faulty })
		if want := "input:1: device busy: it is doing something else"; r.Err.Error() != want {
			t.Errorf("%v", r.Err)
		}
		if up, _ := sink.Linked("a"); !up {
			t.Error("one that says that it is busy is down")
		}
		stop()
	})
}
