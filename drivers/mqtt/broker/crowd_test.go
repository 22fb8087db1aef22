package broker_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/broker"
)

// TestHouseThatAnnouncesItselfAtOnce has thousands of messages come at once for the gateway, on a machine that has other things to do:
// it gets all of them.
func TestHouseThatAnnouncesItselfAtOnce(t *testing.T) {
	const messages = 2000
	b, _ := start(t, broker.Options{Listen: []string{"127.0.0.1:0"}})
	inside, got := mustClient(t, b, func() (net.Conn, error) { return b.Dial(t.Context()) })
	do(t, inside.Subscribe("announce/#", 0, nil))
	outside, _ := mustClient(t, b, nil)

	var busy sync.WaitGroup
	defer busy.Wait()
	var over atomic.Bool
	defer over.Store(true)
	for range 2 {
		busy.Go(func() {
			for n := 0; !over.Load(); n++ {
			}
		})
	}
	payload := strings.Repeat("x", 1500)
	busy.Go(func() {
		var last paho.Token
		for i := range messages {
			last = outside.Publish(fmt.Sprintf("announce/%d", i), 0, true, payload)
		}
		last.WaitTimeout(20 * time.Second)
	})
	for i := range messages {
		want(t, got, fmt.Sprintf("announce/%d=%s retained=false", i, payload))
	}
}
