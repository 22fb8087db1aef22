// Reference writes the reference page of the configuration, docs/configuration.md, from the keys that the code
// declares. `go generate ./gateway/config` runs it.
package main

import (
	"flag"
	"fmt"
	"os"

	"tidings/drivers"
	"tidings/gateway/config"
)

func main() {
	out := flag.String("o", "docs/configuration.md", "the file to write")
	flag.Parse()
	if err := os.WriteFile(*out, config.Reference(drivers.Types(drivers.Backends{})), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}
