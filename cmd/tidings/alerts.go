package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/gateway"
	"tidings/mapping"
)

func alertsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "alerts",
		Short: "List the alerts that are active",
		Args:  cobra.NoArgs,
	}
	client := socketFlag(c)
	asJSON := c.Flags().Bool("json", false, "print JSON, for programs")
	c.RunE = func(c *cobra.Command, _ []string) error {
		list, err := client().Alerts(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), list)
		}
		return printAlerts(c.OutOrStdout(), list, time.Now())
	}
	return c
}

func printAlerts(out io.Writer, list []gateway.AlertStatus, now time.Time) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "No alert is active.")
		return err
	}
	t := table{columns: []column{{head: "ALERT"}, {head: "DEVICE"}, {head: "LEVEL"}, {head: "SINCE"}, {head: "SAYS", shrink: true},
		{head: "ACKNOWLEDGED", shrink: true}}}
	for _, a := range list {
		by := a.By
		if a.SilencedUntil.After(now) {
			by += " (silenced until " + clock(a.SilencedUntil, now) + ")"
		}
		t.row(a.Name, string(a.Device), a.Level, clock(a.Since, now), a.Text, by)
	}
	return t.print(out, widthOf(out))
}

func ackCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ack [ALERT [DEVICE]]",
		Short: "Acknowledge alerts: they are not said again",
		Long: "Acknowledge an alert, on one device or on all, or all there are: they are not\n" +
			"said again and not told to others. Whoever was told of them hears of it.",
		Example: "  tidings ack\n  tidings ack too-hot\n  tidings ack gone lamp",
		Args:    cobra.MaximumNArgs(2),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		done, err := client().Acknowledge(c.Context(), named(args))
		if err != nil {
			return err
		}
		if len(done) == 0 {
			_, err = fmt.Fprintln(c.OutOrStdout(), "Acknowledged already.")
			return err
		}
		for _, a := range done {
			if _, err := fmt.Fprintf(c.OutOrStdout(), "Acknowledged: %s (%s)\n", a.Name, a.Device); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// named is the alert that the arguments [ALERT [DEVICE]] name.
func named(args []string) (r gateway.AlertRequest) {
	if len(args) > 0 {
		r.Name = args[0]
	}
	if len(args) > 1 {
		r.Device = devices.ID(args[1])
	}
	return r
}

func silenceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "silence DURATION|off [ALERT [DEVICE]]",
		Short: "Keep alerts from everyone for a while",
		Long: "Keep an alert, on one device or on all, or all there are from everyone for a\n" +
			"while: those that are active and those to come. What is still so then is said\n" +
			"then. A person who says \"silence 2h\" in a chat silences it for themselves only.",
		Example: "  tidings silence 2h\n  tidings silence 1d gone lamp\n  tidings silence off",
		Args:    cobra.RangeArgs(1, 3),
	}
	client := socketFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r := gateway.SilenceRequest{AlertRequest: named(args[1:]), End: args[0] == "off"}
		said := "Not silenced any more."
		if !r.End {
			d, err := schema.ParseDuration(args[0])
			if err != nil {
				return fmt.Errorf("silence: %w", err)
			}
			r.Seconds, said = d.Seconds(), "Silenced for "+mapping.Duration(d)+"."
		}
		if err := client().Silence(c.Context(), r); err != nil {
			return err
		}
		_, err := fmt.Fprintln(c.OutOrStdout(), said)
		return err
	}
	return c
}
