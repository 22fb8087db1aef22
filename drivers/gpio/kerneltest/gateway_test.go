//go:build kernel

package kerneltest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// The built gateway itself, with the server inside: a contact is read, a relay is switched, and is safe at the end.
func TestGateway(t *testing.T) {
	c := newChip(t, "house", "DOOR", "RELAY")
	dir := t.TempDir()
	file, socket := filepath.Join(dir, "gateway.toml"), filepath.Join(dir, "tidings.sock")
	config := fmt.Sprintf(`
[gateway]
data_dir = %q
[xmpp]
mode = "local"
address = "home.local"
[xmpp.local]
listen = ["127.0.0.1:5222"]
[control]
socket = %q
[drivers.pins]
type = "gpio"
chip = "house"
[devices.hall]
driver = "pins"
[devices.hall.points.open]
source = "DOOR"
kind = "switch"
class = "door"
[devices.hall.points.relay]
source = "RELAY"
direction = "out"
kind = "switch"
safe = false
`, dir, socket)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	gateway := exec.Command("/tidings", "run", "--config", file)
	gateway.Stdout, gateway.Stderr = &log, &log
	if err := gateway.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = gateway.Process.Kill()
		_ = gateway.Wait()
		if t.Failed() {
			t.Logf("the gateway said:\n%s", &log)
		}
	})
	reads := func(point string) (value string) {
		out, err := exec.Command("/tidings", "devices", "hall", "--json", "--socket", socket).Output()
		if err != nil {
			return ""
		}
		var d struct {
			Points []struct{ Name, Value string }
		}
		if err := json.Unmarshal(out, &d); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		for _, p := range d.Points {
			if p.Name == point {
				return p.Value
			}
		}
		return ""
	}
	until(t, "the door is closed", func() bool { return reads("open") == "closed" })
	c.set(0, true)
	until(t, "the door is open", func() bool { return reads("open") == "open" })
	if out, err := exec.Command("/tidings", "send", "hall", "relay", "on", "--socket", socket).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("confirmed by the device")) {
		t.Errorf("send: %v, %s", err, out)
	}
	if !c.high(1) {
		t.Error("the relay is off")
	}
	if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := gateway.Wait(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if c.high(1) {
		t.Error("the relay is on after the gateway has stopped")
	}
}
