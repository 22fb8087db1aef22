package gateway

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"time"

	"tidings/drivers/mqtt/broker"
	"tidings/gateway/config"
	"tidings/xmppbridge/local"
)

type brokerOn struct {
	options broker.Options
	broker  *broker.Broker
	unit    *unit
}

// dialBroker connects to the broker inside, whichever runs now.
func (g *Gateway) dialBroker(ctx context.Context) (net.Conn, error) {
	on := g.broker.Load()
	if on == nil {
		return nil, errors.New("broker inside: there is none: add a [broker] table")
	}
	// One that has failed says why; only for one that is just starting it is worth to wait.
	if conn, err := on.broker.Dial(ctx); err != broker.ErrNotRunning {
		return conn, err
	}
	if err := on.broker.WaitReady(ctx); err != nil {
		return nil, err
	}
	return on.broker.Dial(ctx)
}

// setBroker starts, replaces or stops the broker inside as a configuration has it.
func (g *Gateway) setBroker(cfg *config.Config) {
	on := g.broker.Load()
	if on != nil && cfg.Broker != nil && on.options.Equal(*cfg.Broker) {
		on.broker.Reload()
		return
	}
	g.stopBroker()
	if cfg.Broker == nil {
		return
	}
	options := *cfg.Broker
	if options.NeedsCertificate() {
		options.CertFile = filepath.Join(cfg.Gateway.DataDir, broker.CertificateFile)
		options.KeyFile = options.CertFile
	}
	b := broker.New(options)
	on = &brokerOn{options: *cfg.Broker, broker: b}
	g.broker.Store(on)
	on.unit = start(func(ctx context.Context) error { return g.keepBroker(ctx, cfg, b) })
}

// keepBroker runs the broker inside again when it fails: its port may be taken for the moment.
func (g *Gateway) keepBroker(ctx context.Context, cfg *config.Config, b *broker.Broker) error {
	for {
		err := g.brokerCertificate(cfg)
		if err == nil {
			err = b.Run(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		g.log.Error("broker inside failed", "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(longestRestart / 10):
		}
	}
}

func (g *Gateway) stopBroker() {
	if on := g.broker.Swap(nil); on != nil {
		on.unit.stop()
	}
}

// BrokerAddrs are the addresses the broker inside listens on; it waits until it does.
func (g *Gateway) BrokerAddrs(ctx context.Context) ([]net.Addr, error) {
	on := g.broker.Load()
	if on == nil {
		return nil, nil
	}
	if err := on.broker.WaitReady(ctx); err != nil {
		return nil, err
	}
	return on.broker.Addrs(), nil
}

// brokerCertificate makes the certificate of the broker inside, once, if it needs one and none is configured: for the names and
// addresses that this machine has then.
func (g *Gateway) brokerCertificate(cfg *config.Config) error {
	if !cfg.Broker.NeedsCertificate() {
		return nil
	}
	doors := append(slices.Clone(cfg.Broker.TLSListen), cfg.Broker.TLSWebSocket)
	names := machineNames(config.LocalServer{Listen: doors})
	name := "localhost"
	if len(names) > 0 {
		name = names[0]
	}
	cert, fingerprint, err := local.CertificateAt(filepath.Join(cfg.Gateway.DataDir, broker.CertificateFile), name, names...)
	if err == nil {
		g.log.Info("broker certificate", "fingerprint", fingerprint, "until", cert.Leaf.NotAfter)
	}
	return err
}
