package gpio

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/warthog618/go-gpiocdev"
	"periph.io/x/conn/v3/gpio"
)

func TestRequestInGpiocdevsWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		request request
		want    []gpiocdev.LineReqOption
	}{
		{request{output: true, level: gpio.High}, []gpiocdev.LineReqOption{gpiocdev.AsOutput(1)}},
		{request{output: true, level: gpio.Low}, []gpiocdev.LineReqOption{gpiocdev.AsOutput(0)}},
		{request{}, []gpiocdev.LineReqOption{gpiocdev.AsInput}},
		{request{pull: gpio.PullUp, edge: gpio.BothEdges, debounce: time.Millisecond}, []gpiocdev.LineReqOption{
			gpiocdev.AsInput, gpiocdev.WithPullUp, gpiocdev.WithDebounce(time.Millisecond), gpiocdev.WithBothEdges}},
		{request{pull: gpio.PullDown, edge: gpio.RisingEdge}, []gpiocdev.LineReqOption{
			gpiocdev.AsInput, gpiocdev.WithPullDown, gpiocdev.WithRisingEdge}},
		{request{pull: gpio.Float, edge: gpio.FallingEdge}, []gpiocdev.LineReqOption{
			gpiocdev.AsInput, gpiocdev.WithBiasDisabled, gpiocdev.WithFallingEdge}},
	} {
		if got := c.request.options(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.request, got, c.want)
		}
	}
}

func TestEdgeTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	const start = 5 * time.Hour
	for _, c := range []struct {
		stamp time.Duration
		ago   time.Duration
	}{
		{start - 3*time.Millisecond, 3 * time.Millisecond},
		{start, 0},
		{start + time.Second, 0},                   // not yet: nonsense
		{time.Duration(now.UnixNano()), 0},         // the wall clock of an old kernel
		{start - 2*time.Hour, 0},                   // too long ago
		{start - 59*time.Second, 59 * time.Second}, // a loop that was held up
		{start - 61*time.Second, 0 * time.Second},  // too long ago
		{start - time.Nanosecond, 1 * time.Nanosecond},
	} {
		if got := edgeTime(c.stamp, start, now); now.Sub(got) != c.ago {
			t.Errorf("%v at %v: %v ago, want %v", c.stamp, start, now.Sub(got), c.ago)
		}
	}
}

// What is not a GPIO chip is told from one that is not there, on any machine.
func TestRealKernelRefusesWhatIsNoChip(t *testing.T) {
	t.Parallel()
	open := kernelOpener()
	link := filepath.Join(t.TempDir(), "chip")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/dev/null", link} {
		if _, err := open(path); err == nil || !strings.Contains(err.Error(), path+": is no GPIO chip") {
			t.Errorf("%s: %v", path, err)
		}
	}
	for _, chip := range []string{"/dev/no-such-chip", "no-such-chip"} {
		if _, err := open(chip); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", chip, err)
		}
	}
}
