//go:build servers

package scenario

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tidings/drivers/mqtt/discovery/discoverytest"
)

// Where the announcements that the drivers' own tests read are: what Zigbee2MQTT and Tasmota say.
const (
	zigbee  = "../../drivers/mqtt/discovery/homeassistant/testdata/zigbee2mqtt/"
	tasmota = "../../drivers/mqtt/discovery/tasmota/testdata/tasmota/"
)

// A radio plays devices that announce themselves to the broker inside, as Zigbee2MQTT and Tasmota announce them. They do what
// they are told, and say so on their topics.
type radio struct {
	t      *testing.T
	client paho.Client

	mu     sync.Mutex
	orders []string                  // what the gateway published: the topic, a space, the payload
	states map[string]map[string]any // by the name of a device of Zigbee2MQTT
}

// tune connects a radio to the house.
func tune(h *house) *radio {
	h.t.Helper()
	addrs, err := h.gateway.BrokerAddrs(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	r := &radio{t: h.t, states: map[string]map[string]any{}}
	r.client = paho.NewClient(paho.NewClientOptions().AddBroker("mqtt://" + addrs[0].String()).SetClientID("radio").
		SetAutoReconnect(false).SetOrderMatters(true))
	r.wait(r.client.Connect())
	h.t.Cleanup(func() { r.client.Disconnect(0) })
	r.wait(r.client.SubscribeMultiple(map[string]byte{"zigbee2mqtt/+/set": 0, "zigbee2mqtt/+/set/+": 0, "cmnd/#": 0}, r.obey))
	r.say("zigbee2mqtt/bridge/state", `{"state":"online"}`)
	return r
}

func (r *radio) wait(token paho.Token) {
	r.t.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		r.t.Fatal("radio:", token.Error())
	}
}

// say publishes what the broker keeps.
func (r *radio) say(topic, payload string) {
	r.t.Helper()
	r.wait(r.client.Publish(topic, 0, true, payload))
}

// announce publishes what a file announces, with some of its words in other ones. It returns the topics.
func (r *radio) announce(file string, others ...string) (topics []string) {
	r.t.Helper()
	other := strings.NewReplacer(others...)
	for _, m := range discoverytest.Announcements(r.t, file) {
		topic := other.Replace(m.Topic)
		r.say(topic, other.Replace(string(m.Payload)))
		topics = append(topics, topic)
	}
	return topics
}

// is has a device of Zigbee2MQTT be there, in some state.
func (r *radio) is(name, state string) {
	r.t.Helper()
	was := map[string]any{}
	if err := json.Unmarshal([]byte(state), &was); err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.states[name] = was
	r.mu.Unlock()
	r.say("zigbee2mqtt/"+name+"/availability", `{"state":"online"}`)
	r.say("zigbee2mqtt/"+name, state)
}

// obey does what the gateway has published.
func (r *radio) obey(_ paho.Client, m paho.Message) {
	payload := string(m.Payload())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.orders = append(r.orders, m.Topic()+" "+payload)
	parts := strings.Split(m.Topic(), "/")
	if parts[0] == "cmnd" {
		r.client.Publish("stat/"+parts[1]+"/RESULT", 0, false, `{"`+parts[2]+`":"`+payload+`"}`)
		return
	}
	state := r.states[parts[1]]
	if state == nil {
		return
	}
	change := map[string]any{}
	switch {
	case len(parts) == 4:
		var value any = payload
		if json.Unmarshal(m.Payload(), &value) != nil {
			value = payload
		}
		change[parts[3]] = value
	case json.Unmarshal(m.Payload(), &change) != nil:
		change["state"] = payload
	}
	maps.Copy(state, change)
	if change["color"] != nil {
		state["color_mode"], state["color_temp"] = "xy", nil
	}
	if state["motor_state"] != nil { // it takes its time, and this is the beginning of it
		state["motor_state"] = map[any]string{"OPEN": "opening", "CLOSE": "closing"}[change["state"]]
		if change["state"] == "STOP" {
			state["motor_state"] = "stopped"
		}
	}
	out, _ := json.Marshal(state)
	r.client.Publish("zigbee2mqtt/"+parts[1], 0, true, out)
}

// told waits until the gateway has published something that begins so, and forgets what it published by then.
func (r *radio) told(order string) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		orders := r.orders
		i := slices.IndexFunc(orders, func(o string) bool { return strings.HasPrefix(o, order) })
		if i >= 0 {
			r.orders = nil
		}
		r.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("the gateway published %q, and not %q", orders, order)
		}
	}
}
