package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"tidings/devices"
	"tidings/gateway"
)

func sendCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "send DEVICE WORDS…",
		Short: "Have a device do something",
		Long: "Have a device do something and say what became of it. `tidings devices DEVICE`\n" +
			"lists what it understands; what is marked as dangerous needs --yes. DEVICE is\n" +
			"what `tidings devices` lists it under, or its name: \"Reading lamp\". Behind --\n" +
			"everything is a word, so that a value may be below zero.",
		Example: "  tidings send lamp on\n  tidings send greenhouse set target 21.5\n  tidings send freezer set target -- -18\n  tidings send heater on --yes",
		Args:    cobra.MinimumNArgs(1),
	}
	client := socketFlag(c)
	c.Flags().BoolVar(&yes, "yes", false, "really, also what is marked as dangerous")
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("send: %w: a value below zero comes behind --: tidings send freezer set target -- -18", err)
	})
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			typed := args[0]
			if strings.Contains(typed, " ") {
				typed = strconv.Quote(typed)
			}
			return fmt.Errorf("send: what is %s to do? `tidings devices %s` lists what it understands", args[0], typed)
		}
		result, err := client().Send(c.Context(), gateway.SendRequest{Device: devices.ID(args[0]), Words: args[1:], Yes: yes})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(c.OutOrStdout(), result.Text)
		return err
	}
	return c
}
