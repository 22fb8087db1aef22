package main

import (
	"cmp"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tidings/gateway/control"
)

// socketFlag adds --socket to a command that talks to a running gateway.
func socketFlag(c *cobra.Command) func() *control.Client {
	path := c.Flags().String("socket", "", "the gateway's control socket: `PATH` (default\n$TIDINGS_SOCKET, else where a gateway of this user or of\nthe system has it)")
	return func() *control.Client {
		return control.New(cmp.Or(*path, os.Getenv("TIDINGS_SOCKET"), defaultSocket(os.Getenv)))
	}
}

// systemSocket is where the unit of the packaging has it.
const systemSocket = "/run/tidings/tidings.sock"

// defaultSocket looks where a gateway makes its socket without [control]: one of this user comes first.
func defaultSocket(env func(string) string) string {
	for _, place := range []struct{ variable, below string }{
		{"RUNTIME_DIRECTORY", ""}, {"XDG_RUNTIME_DIR", ""},
		{"STATE_DIRECTORY", ""}, {"XDG_STATE_HOME", "tidings"}, {"HOME", ".local/state/tidings"},
	} {
		directory := env(place.variable)
		if !filepath.IsAbs(directory) {
			continue
		}
		path := filepath.Join(directory, place.below, "tidings.sock")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return systemSocket
}
