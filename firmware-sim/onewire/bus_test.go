package onewire

import (
	"io/fs"
	"testing"
)

// The text is as a kernel on a Raspberry Pi printed it for a sensor at 23.125 °C.
func TestText(t *testing.T) {
	t.Parallel()
	bus := NewBus()
	bus.Set("28-0316a2794aff", 23.125)
	text, err := fs.ReadFile(bus, "28-0316a2794aff/w1_slave")
	if want := "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t=23125\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
	entries, err := fs.ReadDir(bus, ".")
	if err != nil || len(entries) != 2 || entries[0].Name() != "28-0316a2794aff" {
		t.Errorf("%v, %v", entries, err)
	}
	bus.SetFault("28-0316a2794aff", Silent, true)
	if _, err := fs.ReadFile(bus, "28-0316a2794aff/w1_slave"); err == nil {
		t.Error("a silent sensor was read")
	}
}
