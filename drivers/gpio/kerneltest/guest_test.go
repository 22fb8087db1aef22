//go:build kernel

package kerneltest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain is the first process of the guest: it makes what a system has, runs the tests and turns the machine off. Its last
// line says how they ended; nothing else tells the host.
func TestMain(m *testing.M) {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "kerneltest: these tests are the whole system of a virtual machine: run `make test-kernel`")
		os.Exit(2)
	}
	code := 1
	if err := boot(); err != nil {
		fmt.Println("kerneltest: boot:", err)
	} else {
		code = m.Run()
	}
	fmt.Printf("kerneltest: exit %d\n", code)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func boot() error {
	for _, fs := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}, {"tmpfs", "/tmp"}} {
		if err := os.MkdirAll(fs.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(fs.kind, fs.at, fs.kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) { // the kernel mounts /dev itself
			return fmt.Errorf("%s: %w", fs.at, err)
		}
	}
	for _, module := range []string{"configfs", "gpio-sim"} {
		if err := load("/modules/" + module + ".ko"); err != nil {
			return fmt.Errorf("module %s: %w", module, err)
		}
	}
	if err := unix.Mount("configfs", "/sys/kernel/config", "configfs", 0, ""); err != nil {
		return fmt.Errorf("configfs: %w", err)
	}
	for _, env := range [][2]string{{"HOME", "/tmp"}, {"TMPDIR", "/tmp"}} {
		if err := os.Setenv(env[0], env[1]); err != nil {
			return err
		}
	}
	return loopback()
}

func load(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.FinitModule(int(f.Fd()), "", 0)
}

// loopback brings the interface up that the gateway's server listens on.
func loopback() error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, r)
}

// A chip is one of gpio-sim's. See Documentation/admin-guide/gpio/gpio-sim.rst of the kernel.
type chip struct {
	t    *testing.T
	dir  string // in configfs
	sys  string // in sysfs, while it is there
	Name string // "gpiochip1", likewise
}

// newChip makes a chip with named lines and plugs it in.
func newChip(t *testing.T, label string, lines ...string) *chip {
	t.Helper()
	c := &chip{t: t, dir: "/sys/kernel/config/gpio-sim/" + label}
	bank := c.dir + "/bank0"
	c.mkdir(c.dir)
	c.mkdir(bank)
	c.write(bank+"/num_lines", fmt.Sprint(len(lines)))
	c.write(bank+"/label", label)
	for i, name := range lines {
		line := fmt.Sprintf("%s/line%d", bank, i)
		c.mkdir(line)
		c.write(line+"/name", name)
	}
	c.plug()
	t.Cleanup(func() {
		c.unplug()
		for i := range lines {
			_ = unix.Rmdir(fmt.Sprintf("%s/line%d", bank, i))
		}
		_, _ = unix.Rmdir(bank), unix.Rmdir(c.dir)
	})
	return c
}

func (c *chip) plug() {
	c.t.Helper()
	c.write(c.dir+"/live", "1")
	c.Name = c.read(c.dir + "/bank0/chip_name")
	c.sys = filepath.Join("/sys/devices/platform", c.read(c.dir+"/dev_name"), c.Name)
}

func (c *chip) unplug() {
	c.t.Helper()
	c.write(c.dir+"/live", "0")
}

// set drives an input from outside.
func (c *chip) set(line int, high bool) {
	c.t.Helper()
	pull := "pull-down"
	if high {
		pull = "pull-up"
	}
	c.write(fmt.Sprintf("%s/sim_gpio%d/pull", c.sys, line), pull)
}

// high is the level of a line as somebody outside measures it.
func (c *chip) high(line int) bool {
	c.t.Helper()
	return c.read(fmt.Sprintf("%s/sim_gpio%d/value", c.sys, line)) == "1"
}

func (c *chip) mkdir(path string) {
	c.t.Helper()
	if err := os.Mkdir(path, 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chip) write(path, text string) {
	c.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c *chip) read(path string) string {
	c.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
