package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tidings/firmware-sim/mqtt"
	"tidings/firmware-sim/serial"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(os.Stdin).ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "firmware-sim:", err)
		stop()
		os.Exit(1)
	}
}

// command is the command line. Faults are read from in; the goroutine that does so ends with in, or the process.
func command(in io.Reader) *cobra.Command {
	root := &cobra.Command{
		Use:           "firmware-sim",
		Short:         "Run simulated devices",
		Long:          "Run simulated devices, for trying the gateway without hardware. While one runs, type a fault to switch it.",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	ports := group("serial", "Boards on a serial port (a pseudo-terminal), or behind a serial server")
	ports.AddCommand(
		serialCommand(in, serial.Greenhouse, "greenhouse", "A greenhouse: temperature, humidity, a pump and a set point as JSON"),
		serialCommand(in, serial.Bed, "bed", "A garden bed: temperature, humidity and a valve as name=value pairs"),
		serialCommand(in, serial.Logger, "logger", "A logger: seconds, temperature and humidity in columns"),
		serialCommand(in, serial.Station, "station", "A weather station that prints sentences, with a pump"),
		serialCommand(in, serial.Meter, "meter", "A smart meter with a gas meter (DSMR 5)"),
		serialCommand(in, serial.OldMeter, "old-meter", "The same before there were checksums (DSMR 2.2)"),
		serialCommand(in, serial.Dust, "dust", "A dust sensor SDS011"),
	)
	topics := group("mqtt", "Devices on an MQTT broker")
	topics.AddCommand(
		mqttCommand(in, mqtt.NewLamp, "lamp", "A lamp with a relay, as Tasmota speaks"),
		mqttCommand(in, mqtt.NewPlug, "plug", "A plug with a relay that meters power, as Tasmota speaks"),
		mqttCommand(in, mqtt.NewCamera, "camera", "A camera that publishes what it sees as JPEG"),
	)
	root.AddCommand(ports, modbusCommand(in), topics, gpioCommands(in), houseCommand(in))
	return root
}

// group is a command that only holds others: what it does not know is a mistake.
func group(name, short string) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
}

func serialCommand(in io.Reader, kind serial.Kind, name, short string) *cobra.Command {
	o := serial.Options{Kind: kind}
	var faults []string
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			node, err := serial.New(o)
			if err != nil {
				return err
			}
			// The port is let go by Run, which is therefore called whatever else is wrong.
			return run(cmd, in, node.Path(), node.Run, switchboard(serial.Faults(), node.SetFault), faults)
		},
	}
	cmd.Flags().StringVar(&o.Link, "link", "", "a path that leads to the port and stays the same when it is unplugged")
	cmd.Flags().StringVar(&o.Listen, "listen", "", "a TCP address such as 127.0.0.1:4001: it is behind a serial server there")
	cmd.Flags().StringVar(&o.ID, "id", "", "what it says as its id; nothing when empty")
	cmd.Flags().DurationVar(&o.Every, "every", time.Second, "time between two lines")
	cmd.Flags().DurationVar(&o.Period, "period", time.Minute, "of the temperature's curve, which crosses 35 °C once in it")
	faultFlag(cmd, &faults, serial.Faults())
	return cmd
}

func mqttCommand(in io.Reader, build func(mqtt.Options) *mqtt.Device, name, short string) *cobra.Command {
	o := mqtt.Options{}
	var faults []string
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
			d := build(o)
			return run(cmd, in, o.Broker+" "+o.Topic, d.Run, switchboard(mqtt.Faults(), d.SetFault), faults)
		},
	}
	cmd.Flags().StringVar(&o.Broker, "broker", "mqtt://127.0.0.1:1883", "where to connect")
	cmd.Flags().StringVar(&o.Topic, "topic", name, "its name in its topics")
	cmd.Flags().StringVar(&o.Username, "username", "", "for the broker; the password is taken from $MQTT_PASSWORD")
	cmd.Flags().DurationVar(&o.Interval, "every", 10*time.Second, "time between two reports")
	cmd.PreRun = func(*cobra.Command, []string) { o.Password = os.Getenv("MQTT_PASSWORD") }
	faultFlag(cmd, &faults, mqtt.Faults())
	return cmd
}

func faultFlag[F ~string](cmd *cobra.Command, faults *[]string, all []F) {
	cmd.Flags().StringSliceVar(faults, "fault", nil, "what is wrong from the start: "+words(all))
}

func words[F ~string](all []F) string {
	list := make([]string, len(all))
	for i, f := range all {
		list[i] = string(f)
	}
	return strings.Join(list, ", ")
}

// faultSwitches switches the faults of one device by name.
type faultSwitches struct {
	all string // the names there are
	set func(name string, on bool) error
	on  map[string]bool
}

func switchboard[F ~string](all []F, set func(F, bool) error) *faultSwitches {
	return &faultSwitches{
		all: words(all), on: map[string]bool{},
		set: func(name string, on bool) error {
			if !slices.Contains(all, F(name)) {
				return fmt.Errorf("%q is no fault: there are %s", name, words(all))
			}
			return set(F(name), on)
		},
	}
}

// take obeys one line of standard input and returns what to answer. A fault without on or off changes over; a reboot
// is over by itself, so that it always is switched on.
func (s *faultSwitches) take(line string) string {
	name, state, _ := strings.Cut(strings.ToLower(strings.TrimSpace(line)), " ")
	var on bool
	switch state = strings.TrimSpace(state); {
	case name == "":
		return ""
	case name == "help" || name == "?":
		return "a fault, and on or off: " + s.all
	case state == "on" || name == "reboot":
		on = true
	case state == "":
		on = !s.on[name]
	case state != "off":
		return fmt.Sprintf("%q: on or off?", state)
	}
	if err := s.set(name, on); err != nil {
		return err.Error()
	}
	s.on[name] = on
	return name + map[bool]string{true: " on", false: " off"}[on]
}

// run prints where the device is, switches the faults it begins with and then those typed, until ctx is done.
func run(cmd *cobra.Command, in io.Reader, where string, device func(context.Context) error, faults *faultSwitches, first []string) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	out := cmd.OutOrStdout()
	var wrong []error
	for _, f := range first {
		if err := faults.set(f, true); err != nil {
			wrong = append(wrong, err)
		}
		faults.on[f] = true
	}
	if len(wrong) > 0 {
		cancel()
		return errors.Join(append(wrong, device(ctx))...)
	}
	fmt.Fprintln(out, where)
	done := make(chan error, 1)
	go func() { done <- device(ctx) }()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(in); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case err := <-done:
			return err
		case line, more := <-lines:
			if !more {
				lines = nil // nobody types; it runs on
				continue
			}
			if answer := faults.take(line); answer != "" {
				fmt.Fprintln(out, answer)
			}
		}
	}
}
