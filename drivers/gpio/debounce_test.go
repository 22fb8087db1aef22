package gpio

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tidings/drivers/drivertest"
	sim "tidings/firmware-sim/gpio"
)

// settled is what debouncing means, said in another way than the driver does: of an input that toggles at these
// times, beginning low, those levels are readings that hold for at least d and differ from the reading before.
func settled(toggles []time.Duration, d time.Duration) (readings string, at []time.Duration) {
	readings, level := "0", byte('0')
	for i, t := range toggles {
		level ^= 1
		held := i+1 == len(toggles) || toggles[i+1]-t >= d
		if held && readings[len(readings)-1] != level {
			readings += string(level)
			at = append(at, t)
		}
	}
	return readings, at
}

func TestDebounceAnyPattern(t *testing.T) {
	t.Parallel()
	const d = 30 * time.Millisecond
	rapid.Check(t, func(rt *rapid.T) {
		// Gaps of exactly d are left out: which of two things due at one instant is first is nobody's promise.
		gaps := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(1, 29), rapid.IntRange(31, 90), rapid.IntRange(950, 1100)), 0, 25).Draw(rt, "gaps")
		var toggles, at []time.Duration
		var readings string
		synctest.Test(t, func(t *testing.T) {
			chip := sim.NewChip("test", "A")
			b := run(t, chip, point(`source = "A"; debounce = "30ms"`))
			began, level := time.Now(), false
			for _, gap := range gaps {
				time.Sleep(time.Duration(gap) * time.Millisecond)
				level = !level
				chip.Set("A", asLevel(level))
				toggles = append(toggles, time.Since(began))
				synctest.Wait()
			}
			time.Sleep(2 * d)
			synctest.Wait()
			readings = b.readings()
			for _, e := range b.sink.Events() {
				if e.Kind == drivertest.Read {
					at = append(at, e.Reading.At.Sub(began))
				}
			}
		})
		want, wantAt := settled(toggles, d)
		if readings != want || !slices.Equal(at[1:], wantAt) {
			rt.Fatalf("readings %s at %v, want %s at %v", readings, at[1:], want, wantAt)
		}
	})
}

func TestDebounceOfABouncingContact(t *testing.T) {
	t.Parallel()
	for _, noEdges := range []bool{false, true} {
		for _, bounces := range []int{0, 1, 2, 7, 40} {
			for _, gap := range []time.Duration{50 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 29 * time.Millisecond} {
				t.Run(fmt.Sprintf("%d bounces of %v, polled %t", bounces, gap, noEdges), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						chip := sim.NewChip("test", "A")
						chip.SetFault("", sim.NoEdges, noEdges)
						b := run(t, chip, point(`source = "A"; pull = "up"; active_low = true; debounce = "30ms"`))
						door := chip.Contact("A")
						door.SetBounce(bounces, gap)
						for n := range 6 {
							if n%2 == 0 {
								door.Close()
							} else {
								door.Open()
							}
							time.Sleep(100 * time.Millisecond)
						}
						b.expect("0101010")
					})
				})
			}
		}
	}
}

func TestBlipIsNoReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(`source = "A"; debounce = "30ms"`))
		for range 100 {
			chip.Set("A", true)
			time.Sleep(29 * time.Millisecond)
			chip.Set("A", false)
			time.Sleep(29 * time.Millisecond)
		}
		b.expect("0")
	})
}

func TestBounceFasterThanAnyoneLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(`source = "A"; debounce = "30ms"`))
		chip.Set("A", true)
		time.Sleep(20 * time.Millisecond)
		chip.Set("A", false) // back and forth between two looks: the level is the same, and yet it has not held
		chip.Set("A", true)
		time.Sleep(29 * time.Millisecond)
		b.expect("0")
		time.Sleep(time.Millisecond)
		b.expect("01")
	})
}

func TestEdgesWithoutDebounce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		b := run(t, chip, point(`source = "A"`))
		for range 50 {
			chip.Set("A", true)
			synctest.Wait()
			chip.Set("A", false)
			synctest.Wait()
		}
		b.expect("0" + strings.Repeat("10", 50))
		// More edges at once than anything keeps: the level that stays is read.
		for n := range 101 {
			chip.Set("A", asLevel(n%2 == 0))
		}
		synctest.Wait()
		if got := b.readings(); !strings.HasSuffix(got, "1") {
			t.Errorf("the line is on, and the last reading is not: %s", got)
		}
	})
}

func TestPollingWhereThereAreNoEdges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chip := sim.NewChip("test", "A")
		chip.SetFault("", sim.NoEdges, true)
		b := run(t, chip, point(`source = "A"`))
		b.expect("0")
		chip.Set("A", true)
		time.Sleep(slowPoll)
		b.expect("01")
		chip.Set("A", false)
		time.Sleep(slowPoll)
		b.expect("010")
	})
}
