package homeassistant

import (
	"testing"

	"tidings/drivers/mqtt/discovery"
	"tidings/drivers/mqtt/discovery/discoverytest"
)

func TestCorpus(t *testing.T) {
	t.Parallel()
	discoverytest.Run(t, "testdata", func() discovery.Convention { return New(Options{}) })
}
