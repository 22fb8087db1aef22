package serial

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tidings/devices"
	"tidings/drivers/drivertest"
	"tidings/drivers/serial/port"
)

const nodeConfig = `
[drivers.attic]
port     = "/dev/ttyTEST0"
protocol = "json"
[devices.node.points.t]
source = "t"
[devices.node.points.pump]
source = "pump"
kind   = "switch"
write  = '{"pump":{{.Value}}}'
safe   = false
[devices.node.points.ring]
kind  = "action"
write = '{"ring":1}'
`

// played starts a driver whose port the test plays.
func played(t *testing.T, config string) (*driver, *bench, *drivertest.Sink, func()) {
	t.Helper()
	b := newBench()
	d := drivertest.Build(t, Type(b.open), config).(*driver)
	sink := &drivertest.Sink{}
	return d, b, sink, drivertest.Start(t, d, sink)
}

// drain takes what the driver writes, so that it never has to wait, until its end is closed.
func drain(board net.Conn) (lines func() []string) {
	var got []string
	var reading sync.WaitGroup
	reading.Go(func() {
		for s := bufio.NewScanner(board); s.Scan(); {
			got = append(got, s.Text())
		}
	})
	return func() []string {
		reading.Wait()
		return got
	}
}

func TestDevicesFollowThePort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, b, sink, stop := played(t, nodeConfig+"[devices.other]\n[devices.other.points.x]\nsource = \"x\"\n")
		board := <-b.boards
		sink.WaitLink(t, "node", true) // silent, and up as far as anyone can tell
		sink.WaitLink(t, "other", true)
		say(t, board, "{\"t\":1,\"x\":2}\n")
		sink.WaitValue(t, "node", "t", devices.Number(1))
		sink.WaitValue(t, "other", "x", devices.Number(2))
		board.Close()
		for _, id := range []devices.ID{"node", "other"} {
			cause := sink.WaitLink(t, id, false)
			if want := "serial attic: /dev/ttyTEST0: gone: was it unplugged? (EOF)"; cause.Error() != want {
				t.Errorf("%s: %q, want %q", id, cause, want)
			}
		}
		sink.WaitHealth(t, func(err error) bool { return err != nil })
		lines := drain(<-b.boards)
		sink.WaitLink(t, "node", true)
		sink.WaitHealth(t, func(err error) bool { return err == nil })
		stop()
		if got := lines(); len(got) != 1 || got[0] != `{"pump":false}` {
			t.Errorf("on stop the board was told %q", got)
		}
		if broken := sink.Violations(); len(broken) > 0 {
			t.Error(broken)
		}
	})
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.fail(missing("/dev/ttyTEST0"))
		d, sink := drivertest.Build(t, Type(b.open), nodeConfig), &drivertest.Sink{}
		stop := drivertest.Start(t, d, sink)
		time.Sleep(time.Minute)
		var waits []time.Duration
		opens := b.opened()
		for i := range opens[1:] {
			waits = append(waits, opens[i+1].Sub(opens[i]))
		}
		const ms = time.Millisecond
		want := []time.Duration{250 * ms, 500 * ms, 1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms}
		for sum := 15750 * ms; sum+retryMost <= time.Minute; sum += retryMost {
			want = append(want, retryMost)
		}
		if !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
		b.fail(nil)
		sink.WaitLink(t, "node", true)
		first := <-b.boards
		time.Sleep(settled)
		first.Close()
		sink.WaitLink(t, "node", false)
		gone := time.Now()
		second := <-b.boards
		if took := time.Since(gone); took != retryFirst {
			t.Errorf("after a port that had settled the first retry came after %v, want %v", took, retryFirst)
		}
		drain(second)
		stop()
	})
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"absent": {missing("/dev/ttyTEST0"), "serial attic: /dev/ttyTEST0: file does not exist: is it plugged in?"},
		"not allowed": {&fs.PathError{Op: "open", Path: "/dev/ttyTEST0", Err: fs.ErrPermission},
			"serial attic: /dev/ttyTEST0: permission denied: add the user to group dialout"},
		"in use": {port.ErrInUse, "serial attic: /dev/ttyTEST0: in use: another program or another [drivers] table has it open"},
		"a file": {port.ErrNotSerial, "serial attic: /dev/ttyTEST0: not a serial port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, sink := newBench(), &drivertest.Sink{}
			b.fail(c.err)
			d := drivertest.Build(t, Type(b.open), nodeConfig)
			stop := drivertest.Start(t, d, sink)
			err := sink.WaitHealth(t, func(err error) bool { return err != nil })
			if err.Error() != c.want {
				t.Errorf("health %q, want %q", err, c.want)
			}
			if cause := sink.WaitLink(t, "node", false); cause.Error() != err.Error() {
				t.Errorf("cause %q, want %q", cause, err)
			}
			if _, err := d.(devices.Actuator).Do(t.Context(), devices.Command{Device: "node", Point: "ring"}); !errors.Is(err, devices.ErrDown) || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("do: %v, want %v because %s", err, devices.ErrDown, c.want)
			}
			stop()
		})
	}
}

func TestCommands(t *testing.T) {
	t.Parallel()
	d, b, sink, stop := played(t, `
[drivers.attic]
port     = "/dev/ttyTEST0"
protocol = "json"
[devices.node.points.target]
write = '{"set":{{.Value}}}'
[devices.node.points.exact]
write = 'S{{printf "%.1f" .Value}}'
[devices.node.points.pump]
kind  = "switch"
write = 'P{{if .Value}}1{{else}}0{{end}}'
[devices.node.points.mode]
kind    = "choice"
options = ["heat", "cool"]
write   = '{"mode":{{.Value}}}'
[devices.node.points.text]
kind  = "text"
write = '{"text":{{.Value}}}'
[devices.node.points.ring]
kind  = "action"
write = '{"ring":{{.Value}}}'
[devices.node.points.light]
kind  = "color"
write = '{"rgb":{{.Value}}}'
[devices.node.points.wake]
kind  = "time"
write = '{"at":{{.Value}}}'
`)
	board := <-b.boards
	sink.WaitLink(t, "node", true)
	r := bufio.NewReader(board)
	for _, c := range []struct {
		point string
		value devices.Value
		want  string
	}{
		{"target", devices.Number(22.5), `{"set":22.5}`},
		{"target", devices.Number(1e6), `{"set":1000000}`},
		{"target", devices.Number(-3), `{"set":-3}`},
		{"exact", devices.Number(21), `S21.0`},
		{"pump", devices.Bool(true), `P1`},
		{"pump", devices.Bool(false), `P0`},
		{"mode", devices.Text("cool"), `{"mode":"cool"}`},
		{"text", devices.Text("a \"b\"\n<ü>"), `{"text":"a \"b\"\n<ü>"}`},
		{"ring", devices.Value{}, `{"ring":true}`},
		{"light", devices.Color(255, 136, 0), `{"rgb":"#ff8800"}`},
		{"wake", devices.Time(time.Date(2024, 5, 1, 6, 30, 0, 0, time.UTC)), `{"at":"2024-05-01T06:30:00Z"}`},
	} {
		done := make(chan error, 1)
		go func() {
			_, err := d.Do(t.Context(), devices.Command{Device: "node", Point: c.point, Value: c.value})
			done <- err
		}()
		if got := hear(t, r); got != c.want {
			t.Errorf("%s = %q: the board heard %q, want %q", c.point, c.value, got, c.want)
		}
		if err := <-done; err != nil {
			t.Errorf("%s = %q: %v", c.point, c.value, err)
		}
	}
	for _, c := range []struct {
		point string
		value devices.Value
	}{
		{"target", devices.Bool(true)}, {"target", devices.Value{}}, {"target", devices.Text("1")}, {"pump", devices.Number(1)}, {"mode", devices.Bool(true)},
	} {
		if _, err := d.Do(t.Context(), devices.Command{Device: "node", Point: c.point, Value: c.value}); !errors.Is(err, devices.ErrValue) {
			t.Errorf("%s = %q: %v, want %v", c.point, c.value, err, devices.ErrValue)
		}
	}
	stop()
}

func TestKeyValueCommands(t *testing.T) {
	t.Parallel()
	d := built(t, `
[drivers.attic]
port     = "/dev/ttyTEST0"
protocol = "keyvalue"
[devices.node.points.name]
kind  = "text"
write = "name={{.Value}}"
`)
	p := d.devices[0].points[0]
	for text, want := range map[string]string{"bed": "name=bed", "north bed": `name="north bed"`, "": `name=""`, `a"\b`: `name="a\"\\b"`} {
		if got, err := p.command(devices.Text(text)); err != nil || got != want {
			t.Errorf("%q makes %q (%v), want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"a\nvalve=on", "\x00", strings.Repeat("x", MaxLine)} {
		if got, err := p.command(devices.Text(text)); err == nil {
			t.Errorf("%.20q makes %.20q", text, got)
		}
	}
}

// TestHangingWrite: a port that takes nothing ends a command after a bound, or with its context, and the next line
// does not run into what was left of it.
func TestHangingWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, b, sink, stop := played(t, nodeConfig)
		board := <-b.boards
		sink.WaitLink(t, "node", true)
		pump := devices.Command{Device: "node", Point: "pump", Value: devices.Bool(true)}

		begun := time.Now()
		if _, err := d.Do(t.Context(), pump); !errors.Is(err, devices.ErrTimeout) || asked(err) {
			t.Errorf("do: %v, want %v, and nothing asked", err, devices.ErrTimeout)
		}
		if took := time.Since(begun); took != writeWithin {
			t.Errorf("do took %v, want %v", took, writeWithin)
		}

		begun = time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var queued sync.WaitGroup
		for range 3 { // one writes, two wait
			queued.Go(func() {
				if _, err := d.Do(ctx, pump); !errors.Is(err, context.DeadlineExceeded) || asked(err) {
					t.Errorf("do: %v, want %v, and nothing asked", err, context.DeadlineExceeded)
				}
			})
		}
		queued.Wait()
		if took := time.Since(begun); took != time.Second {
			t.Errorf("do took %v, want %v", took, time.Second)
		}

		half := make([]byte, 4)
		go func() { _, _ = board.Read(half) }()
		if _, err := d.Do(t.Context(), pump); !errors.Is(err, devices.ErrTimeout) || !asked(err) {
			t.Errorf("do: %v, want %v after it was asked", err, devices.ErrTimeout)
		}
		lines := drain(board)
		if _, err := d.Do(t.Context(), pump); err != nil {
			t.Errorf("do: %v", err)
		}
		stop()
		if got := strings.Join(lines(), "|"); string(half) != `{"pu` || got != `|{"pump":true}|{"pump":false}` {
			t.Errorf("the board heard %q and then %q", half, got)
		}
	})
}

// asked reports whether an error says that a part of the command may have left.
func asked(err error) bool {
	_, ok := errors.AsType[*devices.AskedError](err)
	return ok
}

// TestPortGoneInALine: a line that was cut off by the end of its port may have been heard.
func TestPortGoneInALine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, b, sink, stop := played(t, nodeConfig)
		defer stop()
		board := <-b.boards
		sink.WaitLink(t, "node", true)
		go func() {
			_, _ = board.Read(make([]byte, 4))
			_ = board.Close()
		}()
		_, err := d.Do(t.Context(), devices.Command{Device: "node", Point: "pump", Value: devices.Bool(true)})
		if !errors.Is(err, devices.ErrDown) || !asked(err) {
			t.Errorf("do: %v, want %v after it was asked", err, devices.ErrDown)
		}
	})
}

// TestStopWithHangingWrite: neither a command that hangs nor safe values that nobody takes hold up the end.
func TestStopWithHangingWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, b, sink, stop := played(t, nodeConfig)
		<-b.boards
		sink.WaitLink(t, "node", true)
		var commands sync.WaitGroup
		for range 3 {
			commands.Go(func() {
				_, err := d.Do(t.Context(), devices.Command{Device: "node", Point: "ring"})
				if !errors.Is(err, devices.ErrDown) {
					t.Errorf("do: %v, want %v", err, devices.ErrDown)
				}
			})
		}
		synctest.Wait()
		begun := time.Now()
		stop()
		if took := time.Since(begun); took != safeWithin {
			t.Errorf("stop took %v, want %v", took, safeWithin)
		}
		commands.Wait()
	})
}

// TestNotes: a board that does not speak as the configuration says tells people what is probably wrong, once, and takes
// it back when it does.
func TestNotes(t *testing.T) {
	t.Parallel()
	const other = `
[devices.other]
where = { id = "b", n = 2 }
[devices.other.points.x]
source = "x"
`
	notSaid := func(point, source string) string {
		return point + `: no line has had "` + source + `" so far: is source right?`
	}
	const foreign = `none of 100 lines on /dev/ttyTEST0 had id = "b" and n = "2": is where right?`
	for name, steps := range map[string][]struct {
		line  string
		times int
		node  []string // the notes then
		other []string
	}{
		"noise": {
			{"\x80U\x12", lost - 1, nil, nil},
			{"\x80U\x12", 3 * lost, []string{`the last 20 lines on /dev/ttyTEST0 were not understood: are baud and protocol right? The last one: "\x80U\x12"`},
				[]string{`the last 20 lines on /dev/ttyTEST0 were not understood: are baud and protocol right? The last one: "\x80U\x12"`}},
			{`{"t":1}`, 1, nil, nil},
		},
		"a line without end": {
			{strings.Repeat("U", MaxLine+1), lost, []string{`the last 20 lines on /dev/ttyTEST0 were not understood: are baud and protocol right?`},
				[]string{`the last 20 lines on /dev/ttyTEST0 were not understood: are baud and protocol right?`}},
			{`{"t":1}`, 1, nil, nil},
		},
		"noise between": {
			{"]", lost - 1, nil, nil},
			{`{"t":1}`, 1, nil, nil},
			{"]", lost - 1, nil, nil},
		},
		"fields": {
			{`{"h":1,"id":"b","n":2,"x":1}`, strange - 1, nil, nil},
			{`{"h":1}`, strange, []string{notSaid("t", "t"), notSaid("pump", "pump")}, nil},
			{`{"pump":null}`, 1, []string{notSaid("t", "t")}, nil},
			{`{"t":1}`, 1, nil, nil},
		},
		"whose": {
			{`{"t":1,"pump":true,"id":"b"}`, strange - 1, nil, nil},
			{`{"t":1,"id":"b"}`, 1, nil, []string{foreign}},
			{`{"t":1,"id":"b","n":2,"x":1}`, 1, nil, nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, sink := built(t, nodeConfig+other), &drivertest.Sink{}
			for _, dev := range d.devices {
				sink.Announce(d.info(dev))
				sink.Link(dev.id, true, nil)
			}
			r := newReader(d, sink)
			for i, step := range steps {
				for range step.times {
					r.decoder.feed([]byte(step.line+"\n"), time.Now())
				}
				for id, want := range map[devices.ID][]string{"node": step.node, "other": step.other} {
					if info, _ := sink.Announced(id); !slices.Equal(info.Notes, want) {
						t.Errorf("step %d: %s has the notes %q, want %q", i, id, info.Notes, want)
					}
				}
			}
			r.notes.clear()
			if info, _ := sink.Announced("node"); len(info.Notes) > 0 {
				t.Errorf("cleared, and there are %q", info.Notes)
			}
			announced := 0
			for _, e := range sink.Events() {
				if e.Kind == drivertest.Announced {
					announced++
				}
			}
			if announced > 2+2*len(steps) {
				t.Errorf("%d announcements", announced)
			}
		})
	}
}

// TestFirstLine: with name=value pairs the first line may be the end of one, which would read as another field.
func TestFirstLine(t *testing.T) {
	t.Parallel()
	config := strings.Replace(nodeConfig, `"json"`, `"keyvalue"`, 1)
	for pause, want := range map[time.Duration]float64{quiet / 2: 2, 2 * quiet: 1} {
		synctest.Test(t, func(t *testing.T) {
			_, b, sink, stop := played(t, config)
			board := <-b.boards
			sink.WaitLink(t, "node", true)
			time.Sleep(pause)
			say(t, board, "t=1\r\nt=2\r\n")
			sink.WaitValue(t, "node", "t", devices.Number(2))
			for _, e := range sink.Events() {
				if e.Kind == drivertest.Read {
					if first, _ := e.Reading.Value.Number(); first != want {
						t.Errorf("%v after opening: the first reading is %v, want %v", pause, first, want)
					}
					break
				}
			}
			drain(board)
			stop()
		})
	}
}

// TestReadingIsAsOldAsItsLine: a line that was already on its way when a command went out does not confirm it.
func TestReadingIsAsOldAsItsLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, b, sink, stop := played(t, nodeConfig)
		board := <-b.boards
		sink.WaitLink(t, "node", true)
		say(t, board, `{"pump":`)
		time.Sleep(time.Second)
		go func() { _, _ = board.Read(make([]byte, 100)) }()
		res, err := d.Do(t.Context(), devices.Command{Device: "node", Point: "pump", Value: devices.Bool(true)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		say(t, board, "true}\n")
		if r := sink.WaitReading(t, "node", "pump", value(devices.Bool(true))); !r.At.Before(res.Written) {
			t.Errorf("read at %v, written at %v", r.At, res.Written)
		}
		drain(board)
		stop()
	})
}
