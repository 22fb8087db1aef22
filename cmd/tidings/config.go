package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"tidings/devices/schema"
)

// defaultConfig is where the packaging puts the configuration.
const defaultConfig = "/etc/tidings/gateway.toml"

// configFlag adds --config to a command that takes the file as its argument too.
func configFlag(c *cobra.Command) func(args []string) (file string, err error) {
	flag := c.Flags().String("config", defaultConfig, "read `FILE`")
	c.Args = cobra.MaximumNArgs(1)
	return func(args []string) (string, error) {
		switch {
		case len(args) == 1 && c.Flags().Changed("config"):
			return "", fmt.Errorf("%s: name the file once: %s or --config %s", c.Name(), args[0], *flag)
		case len(args) == 1:
			return args[0], nil
		}
		if _, err := os.Stat(*flag); errors.Is(err, fs.ErrNotExist) && !c.Flags().Changed("config") {
			return "", &schema.Error{Problems: []schema.Problem{{File: *flag, Text: "there is no such file: name yours: tidings " + c.Name() + " gateway.toml"}}}
		}
		return *flag, nil
	}
}
