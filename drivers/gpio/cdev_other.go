//go:build !linux

package gpio

import (
	"errors"
	"fmt"
)

// kernelOpener is for machines that can check a configuration and not run it.
func kernelOpener() Opener {
	return func(chip string) (Chip, error) {
		return nil, fmt.Errorf("%s: GPIO is Linux's: %w", chip, errors.ErrUnsupported)
	}
}
