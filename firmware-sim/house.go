package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tidings/firmware-sim/house"
	"tidings/firmware-sim/mqtt/board"
)

func houseCommand(in io.Reader) *cobra.Command {
	var o house.Options
	var faults []string
	var count int
	cmd := &cobra.Command{
		Use: "house", Short: "A whole house: devices of every dialect, and as many sensors as you like", Args: cobra.NoArgs,
		Long: "A whole house on an MQTT broker: a Zigbee2MQTT bridge with its devices, nodes of ESPHome, devices of Tasmota, Shelly and Homie,\n" +
			"and with --ports boards, meters and a Modbus line on pseudo-terminals. A fault is typed with its device: offline-boiler, stuck-desk-lamp.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelDebug}))
			h, err := house.New(o)
			if err != nil {
				return err
			}
			if there := len(h.Devices()); count > there {
				o.Sensors = count - there
				if h, err = house.New(o); err != nil {
					return err
				}
			}
			if err := h.Plug(); err != nil {
				return err
			}
			where := fmt.Sprintf("%s %d devices", o.Broker, len(h.Devices()))
			return run(cmd, in, where, h.Run, houseSwitches(h), faults)
		},
	}
	cmd.Flags().StringVar(&o.Broker, "broker", "mqtt://127.0.0.1:1883", "where to connect")
	cmd.Flags().StringVar(&o.Username, "username", "", "for the broker; the password is taken from $MQTT_PASSWORD")
	cmd.Flags().IntVar(&count, "count", 0, "how many devices there are at least: what the house does not have are sensors with eight points each")
	cmd.Flags().StringVar(&o.Dir, "ports", "", "a folder for the links to serial ports: greenhouse, bed, logger, meter, dust and modbus")
	cmd.Flags().DurationVar(&o.Day, "day", 24*time.Hour, "how long a day lasts")
	cmd.Flags().DurationVar(&o.Every, "every", 10*time.Second, "time between two reports of a device")
	cmd.Flags().StringSliceVar(&faults, "fault", nil, "what is wrong from the start, as in offline-boiler")
	cmd.PreRun = func(*cobra.Command, []string) { o.Password = os.Getenv("MQTT_PASSWORD") }
	return cmd
}

// houseSwitches are the faults of all devices on MQTT, and of the bridge.
func houseSwitches(h *house.House) *faultSwitches {
	names := map[string]string{slug(house.Bridge): house.Bridge}
	for _, d := range h.Devices() {
		names[slug(d.Name)] = d.Name
	}
	all := fmt.Sprintf("FAULT-DEVICE, as in offline-boiler; faults are %s, devices as they are called, and %s", words(board.Faults()), slug(house.Bridge))
	return &faultSwitches{all: all, on: map[string]bool{}, set: func(name string, on bool) error {
		fault, device, _ := strings.Cut(name, "-")
		called, known := names[device]
		switch {
		case !slices.Contains(board.Faults(), board.Fault(fault)):
			return fmt.Errorf("%q is no fault: write %s", name, all)
		case !known:
			return fmt.Errorf("%q is none of the devices", device)
		}
		return h.SetFault(called, board.Fault(fault), on)
	}}
}

// slug is a name as one types it.
func slug(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }
