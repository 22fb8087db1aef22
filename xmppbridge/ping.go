package xmppbridge

import "tidings/xmppbridge/stream"

const nsPing = "urn:xmpp:ping"

// pingFeature answers XEP-0199 for every address: the gateway is there, which says nothing of the device; that is
// presence's to say.
func pingFeature() feature {
	return feature{
		disco: []string{nsPing},
		routes: map[routeKey]handler{
			{"get", nsPing, "ping"}: func(*Bridge, *request) (*stream.Element, error) { return nil, nil },
		},
	}
}
