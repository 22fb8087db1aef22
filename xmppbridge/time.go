package xmppbridge

import (
	"time"

	"tidings/xmppbridge/stream"
)

const nsTime = "urn:xmpp:time"

// xmppTime is the date and time profile of XEP-0082, in UTC.
const xmppTime = "2006-01-02T15:04:05Z"

// timeFeature answers XEP-0202 with the gateway's clock and zone.
func timeFeature() feature {
	return feature{
		disco: []string{nsTime},
		routes: map[routeKey]handler{
			{"get", nsTime, "time"}: func(*Bridge, *request) (*stream.Element, error) {
				now := time.Now()
				return stream.New(nsTime, "time").Add(
					stream.New(nsTime, "tzo").AddText(now.Format("-07:00")),
					stream.New(nsTime, "utc").AddText(now.UTC().Format(xmppTime)),
				), nil
			},
		},
	}
}
