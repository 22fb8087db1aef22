package modbus

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// played is a master whose slaves a test plays: what comes is handed to hear, and what it returns is said after a while.
type played struct {
	*Master
	wire net.Conn
}

// a reply is what is on the line some time after a request.
type reply struct {
	after time.Duration
	bytes []byte
}

// play runs the slaves until the test ends.
func play(t *testing.T, l Line, hear func(frame []byte, at time.Time) []reply) played {
	t.Helper()
	near, far := net.Pipe()
	var running sync.WaitGroup
	running.Go(func() {
		buf := make([]byte, maxFrame)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			for _, r := range hear(bytes.Clone(buf[:n]), time.Now()) {
				running.Go(func() {
					time.Sleep(r.after)
					_, _ = far.Write(r.bytes)
				})
			}
		}
	})
	t.Cleanup(func() {
		near.Close()
		far.Close()
		running.Wait()
	})
	return played{NewMaster(near, l), far}
}

var quick = Line{Baud: 9600, Timeout: 500 * time.Millisecond}

// say is a slave's answer of two registers, both with the value.
func say(after time.Duration, slave, value byte) []reply {
	return []reply{{after, line(slave, "04 04 00 "+hex2(value)+" 00 "+hex2(value))}}
}

func hex2(b byte) string {
	const digits = "0123456789ABCDEF"
	return string([]byte{digits[b>>4], digits[b&15]})
}

func TestExchange(t *testing.T) {
	t.Parallel()
	good := line(1, "04 04 00 01 00 02")
	for name, c := range map[string]struct {
		replies []reply
		want    error
	}{
		"good":                   {[]reply{{50 * time.Millisecond, good}}, nil},
		"in pieces":              {[]reply{{10 * time.Millisecond, good[:3]}, {30 * time.Millisecond, good[3:]}}, nil},
		"at the last moment":     {[]reply{{499 * time.Millisecond, good}}, nil},
		"behind noise":           {[]reply{{1 * time.Millisecond, raw("FF 00 01")}, {50 * time.Millisecond, good}}, nil},
		"behind another's":       {[]reply{{1 * time.Millisecond, line(2, "04 04 00 09 00 09")}, {50 * time.Millisecond, good}}, nil},
		"silence":                {nil, ErrNoAnswer},
		"noise":                  {[]reply{{time.Millisecond, raw("FF")}}, ErrDamaged},
		"half":                   {[]reply{{time.Millisecond, good[:6]}}, ErrDamaged},
		"a broken checksum":      {[]reply{{time.Millisecond, append(bytes.Clone(good[:8]), 0)}}, ErrDamaged},
		"an exception":           {[]reply{{time.Millisecond, line(1, "84 02")}}, IllegalAddress},
		"a broken one, and good": {[]reply{{time.Millisecond, append(bytes.Clone(good[:8]), 0)}, {90 * time.Millisecond, good}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := play(t, quick, func([]byte, time.Time) []reply { return c.replies })
				answer, err := m.Exchange(t.Context(), Read(1, Input, 0, 2))
				if !errors.Is(err, c.want) || answer.Sent.IsZero() {
					t.Fatalf("%v, sent at %v, want %v", err, answer.Sent, c.want)
				}
				if err == nil && !bytes.Equal(answer.Data, raw("00 01 00 02")) {
					t.Errorf("data % X", answer.Data)
				}
				if took := time.Since(answer.Sent); took > 600*time.Millisecond {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// TestSilence: between two frames there are 3.5 characters of eleven bits, and above 19,200 bits a second 1.75 ms; more where
// it is asked for.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line Line
		want time.Duration
	}{
		{Line{Baud: 1200}, 32083331},
		{Line{Baud: 9600}, 4010414},
		{Line{Baud: 19200}, 2005204},
		{Line{Baud: 38400}, 1750 * time.Microsecond},
		{Line{Baud: 115200}, 1750 * time.Microsecond},
		{Line{Baud: 9600, Pause: 50 * time.Millisecond}, 50 * time.Millisecond},
		{Line{Baud: 9600, Pause: time.Millisecond}, 4010414},
	} {
		synctest.Test(t, func(t *testing.T) {
			c.line.Timeout = time.Second
			var said, gap time.Time
			const thinks = 20 * time.Millisecond
			m := play(t, c.line, func(_ []byte, at time.Time) []reply {
				said, gap = at.Add(thinks), at
				return say(thinks, 1, 1)
			})
			for range 2 {
				if _, err := m.Exchange(t.Context(), Read(1, Input, 0, 2)); err != nil {
					t.Fatal(err)
				}
				was := said
				if _, err := m.Exchange(t.Context(), Read(1, Input, 0, 2)); err != nil {
					t.Fatal(err)
				}
				if got := gap.Sub(was); got < c.want || got > c.want+time.Millisecond {
					t.Errorf("%+v: a silence of %v, want %v", c.line, got, c.want)
				}
			}
		})
	}
}

// TestSilenceAfterSending: what was written has not left yet when the port has taken it.
func TestSilenceAfterSending(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := play(t, Line{Baud: 300, Timeout: time.Millisecond}, func([]byte, time.Time) []reply { return nil })
		begun := time.Now()
		_, err := m.Exchange(t.Context(), Read(1, Input, 0, 2))
		// Silence, eight characters there, the timeout, and nine characters back.
		character := 11 * time.Second / 300
		if want, took := 7*character/2+8*character+time.Millisecond+9*character, time.Since(begun); !errors.Is(err, ErrNoAnswer) || took < want || took > want+5*time.Millisecond {
			t.Errorf("%v after %v, want %v", err, took, want)
		}
	})
}

// TestLateAnswer: an answer that comes after its time is never taken for the answer to another question.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	for name, delay := range map[string]time.Duration{"in the next question": 600 * time.Millisecond, "far later": 950 * time.Millisecond, "in time": 400 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				first := true
				m := play(t, quick, func(frame []byte, _ time.Time) []reply {
					value, after := frame[3], 10*time.Millisecond // the register is what it reads
					if first {
						first, after = false, delay
					}
					return say(after, frame[0], value)
				})
				_, err := m.Exchange(t.Context(), Read(1, Input, 4, 2))
				if late := delay > quick.Timeout; late != errors.Is(err, ErrNoAnswer) || !late && err != nil {
					t.Fatal(err)
				}
				// Another slave's question need not wait, and does not mind.
				begun := time.Now()
				if answer, err := m.Exchange(t.Context(), Read(2, Input, 5, 2)); err != nil || answer.Data[1] != 5 {
					t.Errorf("slave 2: % X %v", answer.Data, err)
				}
				if took := time.Since(begun); took > 100*time.Millisecond {
					t.Errorf("slave 2 waited %v", took)
				}
				for _, address := range []uint16{6, 7, 4} {
					if answer, err := m.Exchange(t.Context(), Read(1, Input, address, 2)); err != nil || answer.Data[1] != byte(address) {
						t.Errorf("input %d: % X %v", address, answer.Data, err)
					}
				}
			})
		})
	}
}

// TestSlowSlave: one that always takes longer than it may is asked again, its answers are taken, and never for those to
// other questions.
func TestSlowSlave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := play(t, quick, func(frame []byte, _ time.Time) []reply { return say(700*time.Millisecond, frame[0], frame[3]) })
		answered := 0
		for i := range 60 {
			address := byte(i % 3)
			r := Read(1, Input, uint16(address), 2)
			asked := time.Now()
			answer, err := m.Exchange(t.Context(), r)
			if err != nil {
				answer, err = m.Exchange(t.Context(), r)
			}
			if err != nil {
				continue
			}
			answered++
			if answer.Data[1] != address {
				t.Fatalf("input %d reads %d", address, answer.Data[1])
			}
			if answer.Sent.Before(asked.Add(-time.Second)) || time.Since(answer.Sent) < 700*time.Millisecond {
				t.Errorf("read %v after it was asked", time.Since(answer.Sent))
			}
		}
		if answered < 50 {
			t.Errorf("%d of 60 questions were answered", answered)
		}
	})
}

// TestResynchronise: noise and cut frames cost the question they fall into and no other.
func TestResynchronise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turn := 0
		m := play(t, quick, func(frame []byte, _ time.Time) []reply {
			good := say(20*time.Millisecond, frame[0], frame[3])[0]
			switch turn++; turn % 4 {
			case 1:
				good.bytes = good.bytes[:6]
			case 2:
				return []reply{{time.Millisecond, bytes.Repeat([]byte{1, 4}, 120)}, good}
			case 3:
				good.bytes[4] ^= 0x10
			}
			return []reply{good}
		})
		good := 0
		for i := range 40 {
			if answer, err := m.Exchange(t.Context(), Read(1, Input, uint16(i), 2)); err == nil {
				if good++; answer.Data[1] != byte(i) {
					t.Errorf("input %d reads %d", i, answer.Data[1])
				}
			} else if !errors.Is(err, ErrDamaged) {
				t.Error(err)
			}
		}
		if good != 20 {
			t.Errorf("%d of 40 were answered, want 20", good)
		}
	})
}

func TestBabble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := play(t, quick, func([]byte, time.Time) []reply { return nil })
		ctx, cancel := context.WithCancel(t.Context())
		var talking sync.WaitGroup
		talking.Go(func() {
			for ctx.Err() == nil {
				_, _ = m.wire.Write([]byte{0x55})
				time.Sleep(time.Millisecond)
			}
		})
		begun := time.Now()
		answer, err := m.Exchange(t.Context(), Read(1, Input, 0, 1))
		if took := time.Since(begun); !errors.Is(err, ErrBusyLine) || took > 2*babble || !answer.Sent.IsZero() {
			t.Errorf("%v after %v, sent at %v", err, took, answer.Sent)
		}
		cancel()
		_ = m.Idle(time.Now().Add(time.Second))
		talking.Wait()
	})
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := play(t, quick, func(frame []byte, _ time.Time) []reply { return say(100*time.Millisecond, frame[0], frame[3]) })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		answer, err := m.Exchange(ctx, Read(1, Input, 1, 2))
		if !errors.Is(err, context.DeadlineExceeded) || answer.Sent.IsZero() || time.Since(answer.Sent) > 60*time.Millisecond {
			t.Errorf("%v, sent at %v", err, answer.Sent)
		}
		if answer, err = m.Exchange(ctx, Read(1, Input, 1, 2)); !errors.Is(err, context.DeadlineExceeded) || !answer.Sent.IsZero() {
			t.Errorf("with no time left: %v, sent at %v", err, answer.Sent)
		}
		if answer, err := m.Exchange(t.Context(), Read(1, Input, 2, 2)); err != nil || answer.Data[1] != 2 {
			t.Errorf("the next: % X %v", answer.Data, err)
		}
	})
}

func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := play(t, quick, func([]byte, time.Time) []reply { return nil })
		begun := time.Now()
		go func() { _, _ = m.wire.Write([]byte("noise")) }()
		if err := m.Idle(begun.Add(time.Minute)); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		time.AfterFunc(time.Second, m.Wake)
		begun = time.Now()
		if err := m.Idle(begun.Add(time.Minute)); err != nil || time.Since(begun) != time.Second {
			t.Errorf("woken: %v after %v", err, time.Since(begun))
		}
		m.Wake()
		begun = time.Now()
		if err := m.Idle(begun.Add(time.Minute)); err != nil || time.Since(begun) != 0 {
			t.Errorf("woken before: %v after %v", err, time.Since(begun))
		}
		m.wire.Close()
		if err := m.Idle(time.Now().Add(time.Minute)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a port that is gone: %v", err)
		}
		if _, err := m.Exchange(t.Context(), Read(1, Input, 0, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a port that is gone: %v", err)
		}
	})
}

// TestTCP: over Modbus TCP answers are numbered, so a late one is known and nothing waits for it.
func TestTCP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first := true
		m := play(t, Line{Timeout: 500 * time.Millisecond, TCP: true}, func(frame []byte, _ time.Time) []reply {
			after := 10 * time.Millisecond
			if first {
				first, after = false, 505*time.Millisecond
			}
			return []reply{{after, append(frame[:4:4], 0, 7, frame[6], 4, 4, 0, frame[9], 0, frame[9])}}
		})
		if _, err := m.Exchange(t.Context(), Read(1, Input, 1, 2)); !errors.Is(err, ErrNoAnswer) {
			t.Error(err)
		}
		begun := time.Now()
		if answer, err := m.Exchange(t.Context(), Read(1, Input, 2, 2)); err != nil || answer.Data[1] != 2 {
			t.Errorf("% X %v", answer.Data, err)
		}
		if took := time.Since(begun); took > 20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}
