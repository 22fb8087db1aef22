// Package config turns gateway.toml into what the gateway is composed of, or into the list of its mistakes.
//
// [Load] reads the file and those it includes, expands ${VARIABLES}, fetches secrets, checks every key against the
// declarations of whoever reads it (the gateway's own are in this package, the others come from mapping and from the
// drivers' [devices.Type]), lets mapping read the meaning of devices, alerts and access, and builds the drivers. It
// touches files and nothing else: no hardware, no network. Every mistake of a file is found in one run; each is a line
// that says where it is and, where that can be known, the way out:
//
//	gateway.toml:12: devices.lamp.points.power: unknown key "sorce": did you mean "source"?
//
// A file that is no TOML is the exception: that mistake stands alone.
//
//	cfg, err := config.Load("gateway.toml", config.Options{Types: drivers.Types(drivers.Backends{})})
//	if err != nil {
//		fmt.Fprintln(os.Stderr, err) // one line a mistake
//		os.Exit(1)
//	}
//
// A reload loads again and compares: a [Driver] with the same Canonical text may go on running. A Config is not
// changed after Load and may be read from any goroutine; nothing here starts one.
package config

//go:generate go run ./reference -o ../../docs/configuration.md
