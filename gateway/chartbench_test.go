package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"tidings/devices"
	"tidings/gateway/config"
	"tidings/xmppbridge"
	"tidings/xmppbridge/stream"
)

// uploadNetwork is a counter whose server has an upload service.
type uploadNetwork struct {
	*counter
	url string
}

func (n uploadNetwork) Request(_ context.Context, iq *stream.Element) (*stream.Element, error) {
	answer := `<query xmlns='http://jabber.org/protocol/disco#info'><feature var='urn:xmpp:http:upload:0'/></query>`
	if iq.First().Name == "request" {
		answer = `<slot xmlns='urn:xmpp:http:upload:0'><put url='` + n.url + `'/><get url='` + n.url + `'/></slot>`
	}
	return stream.Parse([]byte(`<iq xmlns='jabber:client' type='result'>` + answer + `</iq>`))
}

// BenchmarkChart is a chart of a day, one reading a second, from what a person says to the picture being on the server and its
// address on the way to them; and how much more memory is in use at the worst moment.
func BenchmarkChart(b *testing.B) {
	g, net, _ := benchGateway(b, 10)
	cfg := *g.config.Load()
	cfg.History = &config.History{Keep: 48 * time.Hour, MaxSize: 200_000_000, Flush: time.Second}
	if err := g.beginHistory(&cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := g.endHistory(); err != nil {
			b.Error(err)
		}
	})
	const readings = 86400
	begun := time.Now().Add(-readings * time.Second)
	for i := range readings {
		v := math.Round(200+100*math.Sin(float64(i)/8000)+float64(i*7919%7)) / 10
		g.history.Load().Note("d1", "temperature", devices.Number(v), begun.Add(time.Duration(i)*time.Second))
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	b.Cleanup(server.Close)
	answers := make(chan *stream.Element, 1024)
	network := uploadNetwork{&counter{last: answers}, server.URL}
	bridge, err := xmppbridge.New(b.Context(), xmppbridge.Options{Name: "Bench", Audience: xmppbridge.Subscribers,
		Addresses: g.addresses.Load(), Access: g.access.Load(), House: g.router, Executor: g.executor, Network: network, Store: g.store,
		History: g.bridgeHistory(&cfg), Log: slog.New(slog.DiscardHandler),
		Uploader: xmppbridge.NewServerUpload(xmppbridge.UploadOptions{Network: network, Service: "upload.example.org",
			From: func() string { return "home@things.example.org/home" }})})
	if err != nil {
		b.Fatal(err)
	}
	running := start(bridge.Run)
	b.Cleanup(func() { running.stop(); runtime.KeepAlive(net) })
	before := liveHeap()
	var peak atomic.Uint64
	sampled := start(func(ctx context.Context) error {
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		for ctx.Err() == nil {
			metrics.Read(sample)
			peak.Store(max(peak.Load(), sample[0].Value.Uint64()))
			time.Sleep(200 * time.Microsecond)
		}
		return nil
	})
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		// Each from another client: one that asks so often is not answered.
		said, err := stream.Parse([]byte(fmt.Sprintf(`<message xmlns='jabber:client' type='chat' id='c%d' from='alice@example.org/%d' `+
			`to='d1@things.example.org/d1'><body>chart temperature 24h</body></message>`, i, i%900)))
		if err != nil {
			b.Fatal(err)
		}
		bridge.Deliver(said, true)
		for st := range answers {
			if st.Name == "message" {
				if st.Child("jabber:x:oob", "x") == nil {
					b.Fatal(st)
				}
				break
			}
		}
	}
	b.StopTimer()
	sampled.stop()
	b.ReportMetric(float64(peak.Load()-before)/(1<<20), "peak-MB")
}
