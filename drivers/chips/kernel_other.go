//go:build !linux

package chips

import (
	"errors"
	"fmt"
)

// These are for machines that can check a configuration and not run it.

func openI2C(path string) (I2CBus, error) {
	return nil, fmt.Errorf("%s: I²C is Linux's here: %w", path, errors.ErrUnsupported)
}

func openSPI(path string) (SPIPort, error) {
	return nil, fmt.Errorf("%s: SPI is Linux's here: %w", path, errors.ErrUnsupported)
}
