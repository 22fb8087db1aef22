package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	mqttsim "tidings/firmware-sim/mqtt"
)

// BenchmarkResident is what the stripped binary holds in memory as a component with ten devices, once they are all
// there: resident, and the anonymous part of it, which the system cannot drop and read again from the file.
func BenchmarkResident(b *testing.B) {
	dir := b.TempDir()
	binary := stripped(b, dir)
	server := swallowComponent(b)
	for b.Loop() {
		rss, anonymous := resident(b, dir, binary, server)
		b.ReportMetric(float64(rss)/1000, "residentMB")
		b.ReportMetric(float64(anonymous)/1000, "anonymousMB")
	}
	info, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(info.Size())/1e6, "binaryMB")
}

// stripped builds the program as it is distributed.
func stripped(b *testing.B, dir string) string {
	b.Helper()
	binary := filepath.Join(dir, "tidings")
	build := exec.CommandContext(b.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// resident runs the gateway with ten metering plugs and returns its memory in kB.
func resident(b *testing.B, dir, binary, server string) (rss, anonymous int) {
	var text strings.Builder
	fmt.Fprintf(&text, "[gateway]\ndata_dir = \"data\"\n[xmpp]\nmode = \"component\"\naddress = \"things.example.org\"\nserver = %q\nsecret_file = \"secret\"\n"+
		"[control]\nsocket = \"t.sock\"\n[broker]\nlisten = [\"127.0.0.1:0\"]\n[access]\n\"alice@example.org\" = \"admin\"\n"+
		"[drivers.house]\ntype = \"mqtt\"\nbroker = \"local\"\n"+
		"[alerts.high]\ndevice = \"*\"\nwhen = \"load > 2000\"\nto = [\"alice@example.org\"]\n", server)
	port := freePort(b)
	config := strings.Replace(text.String(), "127.0.0.1:0", port, 1)
	for i := range 10 {
		config += fmt.Sprintf("[devices.plug%[1]d]\ndriver = \"house\"\navailability = \"tele/plug%[1]d/LWT\"\nonline = \"Online\"\noffline = \"Offline\"\n[devices.plug%[1]d.points]\n"+
			"power = { source = \"stat/plug%[1]d/POWER\", on = \"ON\", off = \"OFF\", command = \"cmnd/plug%[1]d/POWER\" }\n"+
			"load = { source = \"tele/plug%[1]d/SENSOR\", path = \"ENERGY.Power\", unit = \"W\" }\n"+
			"total = { source = \"tele/plug%[1]d/SENSOR\", path = \"ENERGY.Total\", unit = \"kWh\" }\n", i)
	}
	for name, content := range map[string]string{"gateway.toml": config, "secret": "s"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	gateway := exec.CommandContext(b.Context(), binary, "run", "--config", filepath.Join(dir, "gateway.toml"))
	log, err := gateway.StderrPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := gateway.Start(); err != nil {
		b.Fatal(err)
	}
	online, running := make(chan struct{}), make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		seen := 0
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if strings.Contains(lines.Text(), "gateway running") {
				close(running)
			}
			if strings.Contains(lines.Text(), "online=true") {
				if seen++; seen == 10 {
					close(online)
				}
			}
		}
	}()
	<-running
	ctx := b.Context()
	for i := range 10 {
		plug := mqttsim.NewPlug(mqttsim.Options{Broker: "mqtt://" + port, Topic: "plug" + strconv.Itoa(i), Interval: time.Second})
		done := make(chan error, 1)
		go func() { done <- plug.Run(ctx) }()
		b.Cleanup(func() { <-done })
	}
	<-online
	time.Sleep(5 * time.Second) // what a start needs is given back
	rss, anonymous = memoryOf(b, gateway.Process.Pid)
	if err := gateway.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	<-read
	if err := gateway.Wait(); err != nil {
		b.Fatal(err)
	}
	return rss, anonymous
}

func freePort(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func memoryOf(b *testing.B, pid int) (rss, anonymous int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 {
			switch n, _ := strconv.Atoi(fields[1]); fields[0] {
			case "Rss:":
				rss = n
			case "Anonymous:":
				anonymous = n
			}
		}
	}
	return rss, anonymous
}

// swallowComponent is a server that accepts any component and reads whatever it says.
func swallowComponent(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	b.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serveComponent(conn)
		}
	}()
	return l.Addr().String()
}

func serveComponent(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	until := func(end string) bool {
		var got strings.Builder
		for !strings.HasSuffix(got.String(), end) {
			c, err := in.ReadByte()
			if err != nil {
				return false
			}
			got.WriteByte(c)
		}
		return true
	}
	if !until("<stream:stream") || !until(">") {
		return
	}
	fmt.Fprint(conn, "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='things.example.org' id='1'>")
	if until("</handshake>") {
		fmt.Fprint(conn, "<handshake/>")
		_, _ = io.Copy(io.Discard, in)
	}
}
