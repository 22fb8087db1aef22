package xmppbridge

import (
	"strconv"
	"time"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const nsLast = "jabber:iq:last"

// started is when the gateway came up, which XEP-0012 §5 asks of a component.
var started = time.Now()

// lastFeature answers XEP-0012: for a device the time since its last reading (with why, when it is offline), for the
// hub and the domain how long the gateway has been up.
func lastFeature() feature {
	return feature{
		disco: []string{nsLast},
		routes: map[routeKey]handler{
			{"get", nsLast, "query"}: answerLast,
		},
	}
}

func answerLast(b *Bridge, r *request) (*stream.Element, error) {
	since, text := started, ""
	if r.target.Kind == mapping.ToDevice {
		_, state, err := b.device(r.target.ID)
		if err != nil {
			return nil, err
		}
		if state.Heard.IsZero() {
			return nil, stream.NewStanzaError(stream.ItemNotFound, "nothing was heard of it yet")
		}
		since = state.Heard
		if online, why := b.o.House.Online(r.target.ID); !online {
			text = why
		}
	}
	seconds := strconv.Itoa(int(time.Since(since).Seconds()))
	return stream.New(nsLast, "query", "seconds", seconds).AddText(text), nil
}
