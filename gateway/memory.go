package gateway

import (
	"context"

	"tidings/devices"
)

// memory is what drivers keep over restarts: the store, which is opened only after they are built.
type memory struct{ gateway *Gateway }

func (m memory) Recall(id devices.ID, point string) (float64, bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), storeLimit)
	defer cancel()
	return m.gateway.store.Recall(ctx, id, point)
}

func (m memory) Keep(id devices.ID, point string, f float64) { m.gateway.store.Keep(id, point, f) }
