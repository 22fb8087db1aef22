package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tidings/firmware-sim/modbus"
)

// The faults of the line itself.
const (
	unplugBus = "unplug" // the port is gone
	hushBus   = "hush"   // nothing on it answers
)

// onTheBus are the slaves of the simulated bus, from address 1 on.
var onTheBus = []func(*modbus.Slave){modbus.Meter, modbus.Relays, modbus.Commanded, modbus.Climate}

func modbusCommand(in io.Reader) *cobra.Command {
	o := modbus.Options{}
	var faults []string
	cmd := &cobra.Command{
		Use: "modbus", Short: "A Modbus line: 1 is an SDM120, 2 a Waveshare relay board, 3 an R421A08, 4 an XY-MD02", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.TCP && o.Listen == "" {
				return fmt.Errorf("tcp: Modbus TCP needs --listen")
			}
			bus, err := modbus.New(o)
			if err != nil {
				return err
			}
			for i, fill := range onTheBus {
				fill(bus.Slave(byte(i + 1)))
			}
			return run(cmd, in, bus.Path(), bus.Run, switchboard(busFaults(), func(name string, on bool) error { return setBusFault(bus, name, on) }), faults)
		},
	}
	cmd.Flags().StringVar(&o.Link, "link", "", "a path that leads to the port and stays the same when it is unplugged")
	cmd.Flags().StringVar(&o.Listen, "listen", "", "a TCP address, as in 127.0.0.1:4001, to be there in place of a pseudo-terminal")
	cmd.Flags().BoolVar(&o.TCP, "tcp", false, "speak Modbus TCP there, and not the bytes of the line")
	faultFlag(cmd, &faults, busFaults())
	return cmd
}

// busFaults are the line's, and those of each slave with its address behind them: "dead-3".
func busFaults() []string {
	all := []string{unplugBus, hushBus}
	for i := range onTheBus {
		for _, f := range modbus.Faults() {
			all = append(all, fmt.Sprintf("%s-%d", f, i+1))
		}
	}
	return all
}

func setBusFault(bus *modbus.Bus, name string, on bool) error {
	switch {
	case name == hushBus:
		bus.Hush(on)
	case name == unplugBus && on:
		bus.Unplug()
	case name == unplugBus:
		return bus.Plug()
	default:
		fault, address, _ := strings.Cut(name, "-")
		n, err := strconv.ParseUint(address, 10, 8)
		if err != nil || !slices.Contains(bus.Slaves(), byte(n)) {
			return fmt.Errorf("%q is no slave", address)
		}
		return bus.Slave(byte(n)).SetFault(modbus.Fault(fault), on)
	}
	return nil
}
