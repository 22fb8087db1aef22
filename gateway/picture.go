package gateway

import (
	"context"
	"errors"
	"strings"

	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge"
	"tidings/xmppbridge/link"
	"tidings/xmppbridge/local"
)

// newUploader makes what takes the bridge's pictures: the server's service, or the place in the server inside.
func (g *Gateway) newUploader(on *presenceOn) xmppbridge.Uploader {
	x := on.config
	if x.Mode == config.Local {
		return insideUpload{on}
	}
	_, domain, account := strings.Cut(x.Address, "@")
	if !account {
		domain = x.Address
	}
	on.upload = xmppbridge.NewServerUpload(xmppbridge.UploadOptions{
		Network: late{on}, Service: x.Upload, Domain: domain, Component: x.Mode == config.Component, TLS: link.TLS{CAFile: x.CAFile},
		From: func() string { _, full := g.addresses.Load().Hub(); return full },
	})
	return on.upload
}

// plot is what there is to draw of an alert, as the configuration of the moment has it.
func (g *Gateway) plot(alert string) (mapping.Plot, bool) { return g.config.Load().Mapping.Plot(alert) }

// searchAnew has the upload service looked for again: the server on the other end may be another one.
func (on *presenceOn) searchAnew() {
	if on.upload != nil {
		on.upload.Forget()
	}
}

// insideUpload is the place for files of the server inside.
type insideUpload struct{ on *presenceOn }

var errNoPlace = errors.New("there is no place for pictures: upload = {} in [xmpp.local] makes one")

func (u insideUpload) Upload(ctx context.Context, name, mime string, data []byte) (string, error) {
	inside, ok := u.on.network.(*localNetwork)
	if !ok {
		return "", xmppbridge.ErrNoUpload
	}
	address, err := inside.server.Put(ctx, name, mime, data)
	if errors.Is(err, local.ErrNoUpload) {
		return "", errNoPlace
	}
	return address, err
}
