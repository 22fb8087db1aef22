package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tidings/gateway"
)

// defaultConfig is where the packaging puts the configuration.
const defaultConfig = "/etc/tidings/gateway.toml"

func checkCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Find the mistakes of a configuration, touching nothing",
		Long: "Read a configuration as the gateway does and print every mistake with its line.\n" +
			"The exit status is 1 if there is one. No device is opened, nothing is connected.",
		Example: "  tidings check gateway.toml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				if c.Flags().Changed("config") {
					return fmt.Errorf("check: name the file once: %s or --config %s", args[0], file)
				}
				file = args[0]
			}
			if err := gateway.Check(file); err != nil {
				return &codeError{1, err}
			}
			fmt.Fprintln(c.OutOrStdout(), file+": no mistakes")
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", defaultConfig, "read `FILE`")
	return c
}
