package xmppbridge

import (
	"runtime"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const nsVersion = "jabber:iq:version"

// versionFeature answers XEP-0092: the gateway's version, and for a device the model its driver knows.
func versionFeature() feature {
	return feature{
		disco: []string{nsVersion},
		routes: map[routeKey]handler{
			{"get", nsVersion, "query"}: answerVersion,
		},
	}
}

func answerVersion(b *Bridge, r *request) (*stream.Element, error) {
	name := "tidings"
	if r.target.Kind == mapping.ToDevice {
		d, _, err := b.device(r.target.ID)
		if err != nil {
			return nil, err
		}
		if d.Model != "" {
			name = d.Model + " through tidings"
		}
	}
	return stream.New(nsVersion, "query").Add(
		stream.New(nsVersion, "name").AddText(name),
		stream.New(nsVersion, "version").AddText(b.o.Version),
		stream.New(nsVersion, "os").AddText(runtime.GOOS+"/"+runtime.GOARCH),
	), nil
}
