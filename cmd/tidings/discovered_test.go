package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
	"tidings/firmware-sim/mqtt/homeassistant"
)

// BenchmarkDiscovered is how long the stripped binary takes, from being connected to a broker, until a thousand devices of eight
// points each that the broker has retained are there and shown as online, and how much memory it holds then. Each point is
// announced by a message of its own.
func BenchmarkDiscovered(b *testing.B) {
	const count = 1000
	dir := b.TempDir()
	binary, server := stripped(b, dir), swallowComponent(b)
	port := freePort(b)
	mqtt := broker.New(broker.Options{Listen: []string{port}, Log: slog.New(slog.DiscardHandler), MaxRetained: 64 << 20})
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- mqtt.Run(ctx) }()
	b.Cleanup(func() { cancel(); <-ended })
	if err := mqtt.WaitReady(b.Context()); err != nil {
		b.Fatal(err)
	}
	sensors := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + port).SetClientID("sensors"))
	if token := sensors.Connect(); token.Wait() && token.Error() != nil {
		b.Fatal(token.Error())
	}
	b.Cleanup(func() { sensors.Disconnect(100) })
	for _, m := range homeassistant.New(homeassistant.Options{Count: count, Single: true}).Start(time.Now()) {
		if token := sensors.Publish(m.Topic, 1, m.Retained, m.Payload); token.Wait() && token.Error() != nil {
			b.Fatal(token.Error())
		}
	}
	config := fmt.Sprintf("[gateway]\ndata_dir = \"data\"\n[xmpp]\nmode = \"component\"\naddress = \"things.example.org\"\nserver = %q\nsecret_file = \"secret\"\n"+
		"[control]\nsocket = \"t.sock\"\n[access]\n\"alice@example.org\" = \"admin\"\n[drivers.house]\ntype = \"mqtt\"\nbroker = \"mqtt://%s\"\ndiscovery = [\"homeassistant\"]\n", server, port)
	for name, content := range map[string]string{"gateway.toml": config, "secret": "s"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		took, rss, peak := discovered(b, dir, binary, count)
		b.ReportMetric(took.Seconds(), "s/house")
		b.ReportMetric(float64(rss)/1000, "residentMB")
		b.ReportMetric(float64(peak)/1000, "peakMB")
	}
}

// discovered runs the gateway until so many devices are online. Memory is in kB: half a minute later, and at most.
func discovered(b *testing.B, dir, binary string, count int) (took time.Duration, rss, peak int) {
	gateway := exec.CommandContext(b.Context(), binary, "run", "--config", filepath.Join(dir, "gateway.toml"))
	log, err := gateway.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		b.Fatal(err)
	}
	there, read := make(chan time.Duration, 1), make(chan struct{})
	go func() {
		defer close(read)
		var connected time.Time
		seen := 0
		for lines := bufio.NewScanner(log); lines.Scan(); {
			switch line := lines.Text(); {
			case strings.Contains(line, "mqtt connected"):
				connected = time.Now()
			case strings.Contains(line, "online=true"):
				if seen++; seen == count {
					there <- time.Since(connected)
				}
			}
		}
	}()
	select {
	case took = <-there:
	case <-time.After(time.Minute):
		b.Fatal("not all devices came")
	}
	time.Sleep(35 * time.Second) // what a start needs is given back
	rss, _ = memoryOf(b, gateway.Process.Pid)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", gateway.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	<-read
	if err := gateway.Wait(); err != nil {
		b.Fatal(err)
	}
	return took, rss, peak
}
