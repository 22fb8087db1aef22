package xmppbridge

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tidings/devices"
	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

const account, accountHub = "gw@example.org", "gw@example.org/home"

const hotAlert = `
[alerts.hot]
device = "oven"
when = "target > 230"
level = "critical"
text = "too hot"
to = ["alice@example.org"]
`

// single is a fixture whose account turns out to have one stream only.
func single(t *testing.T, test func(*fixture)) {
	t.Helper()
	bubble(t, setup{audience: Broadcast, mode: mapping.Client, file: houseFile + hotAlert}, func(f *fixture) {
		f.Up(accountHub)
		f.Up(account + "/lamp")
		f.Up(account + "/oven")
		f.sent()
		f.Single()
		f.Up(account + "/oven") // had been on its way
		equal(t, "what is shown", shown(f.sent()), []string{accountHub + " > : House: 2 devices online"})
		test(f)
	})
}

// The hub's presence sums the house up, at most every ten seconds, and nothing else is shown.
func TestSinglePresence(t *testing.T) {
	single(t, func(f *fixture) {
		gone := errors.New("the line is cut")
		f.house.link("lamp", gone)
		f.house.read("oven", "target", devices.Number(190))
		time.Sleep(sumInterval)
		equal(t, "a device goes", shown(f.sent()), []string{accountHub + " > : House: 1 of 2 devices online, not Lamp"})
		f.house.link("lamp", nil)
		f.house.read("lamp", "power", devices.Bool(true))
		f.house.link("lamp", gone)
		f.house.read("oven", "target", devices.Number(200))
		time.Sleep(3 * time.Second)
		f.house.link("lamp", nil)
		f.house.read("lamp", "power", devices.Bool(true))
		time.Sleep(sumInterval)
		if got := shown(f.sent()); len(got) == 0 || len(got) > 2 || got[len(got)-1] != accountHub+" > : House: 2 devices online" {
			t.Errorf("it comes and goes: %q", got)
		}
		f.house.read("oven", "target", devices.Number(240))
		f.Alert()
		time.Sleep(sumInterval)
		out := f.sent()
		if len(out) != 1 || out[0].ChildText(stream.NS, "show") != "dnd" || out[0].ChildText(stream.NS, "priority") != "5" {
			t.Errorf("an alert: %v", out)
		}
		equal(t, "an alert", shown(out), []string{accountHub + " > : House: 2 devices online; 1 alert: Oven: too hot"})
		f.Withdraw("lamp")
		time.Sleep(sumInterval)
		for _, st := range f.sent() {
			if st.Attr("type") == "unavailable" {
				t.Errorf("with one device the hub goes: %s", st)
			}
		}
		f.stop()
		equal(t, "the end", shown(f.sent()), []string{"unavailable " + accountHub + " > : the gateway is stopping"})
	})
}

// Every device is a node of the hub, by its slug; commands are the hub's.
func TestSingleNodes(t *testing.T) {
	single(t, func(f *fixture) {
		ask := func(from, ns, node string) *stream.Element {
			t.Helper()
			return f.answer("<iq type='get' id='a' from='" + from + "' to='" + accountHub + "'><query xmlns='" + ns + "' node='" + node + "'/></iq>").First()
		}
		var items []string
		for item := range ask(alice, nsDiscoItems, "").Children() {
			items = append(items, item.Attr("jid")+" "+item.Attr("node")+" "+item.Attr("name"))
		}
		equal(t, "devices", items, []string{accountHub + " lamp Lamp", accountHub + " oven Oven"})
		info := ask(alice, nsDiscoInfo, "oven")
		if info.Child(nsDiscoInfo, "identity").Attr("name") != "Oven" || info.Attr("node") != "oven" ||
			!slices.ContainsFunc(slices.Collect(info.Children()), func(e *stream.Element) bool { return e.Attr("var") == nsCommands }) {
			t.Errorf("a device's node: %s", info)
		}
		items = nil
		for item := range ask(alice, nsDiscoItems, "lamp").Children() {
			items = append(items, item.Attr("jid")+" "+item.Attr("node")+" "+item.Attr("name"))
		}
		equal(t, "a device's commands", items, []string{accountHub + " lamp/power/on Power on", accountHub + " lamp/power/off Power off", accountHub + " lamp/status Status"})
		// A command list on whatever address is the hub's.
		var names []string
		for item := range ask(alice, nsDiscoItems, nsCommands).Children() {
			names = append(names, item.Attr("name"))
		}
		if !slices.Contains(names, "Lamp: Power on") || !slices.Contains(names, "All devices") {
			t.Errorf("commands: %q", names)
		}
		for _, node := range []string{"none", "devices/lamp"} {
			if got := f.answer("<iq type='get' id='a' from='" + alice + "' to='" + accountHub + "'><query xmlns='" + nsDiscoInfo + "' node='" + node + "'/></iq>"); failure(got) != "item-not-found" {
				t.Errorf("node %s: %s", node, got)
			}
		}
		if got := f.answer("<iq type='set' id='a' from='" + alice + "' to='" + accountHub + "'><command xmlns='" + nsCommands + "' node='lamp/power/on'/></iq>"); got.First().Attr("status") != "completed" {
			t.Errorf("command: %s", got)
		}
		if r := f.requests(); len(r) != 1 || r[0].Device != "lamp" {
			t.Errorf("executed: %v", r)
		}
		got := f.answer("<iq type='get' id='a' from='" + alice + "' to='" + accountHub + "'><req xmlns='urn:nf:iot:sd:1.0' id='r' m='true'><nd id='oven'/><f n='target'/></req></iq>")
		if got.Attr("type") != "result" || got.First().Child("urn:nf:iot:sd:1.0", "nd").Attr("id") != "oven" && !strings.Contains(got.String(), "n='target'") {
			t.Errorf("a program: %s", got)
		}
	})
}

// Messages come from the hub, also where they were sent to the address that a device had.
func TestSingleMessages(t *testing.T) {
	single(t, func(f *fixture) {
		for to, body := range map[string]string{accountHub: "lamp on", account: "lamp on", account + "/lamp": "on"} {
			out := func() []*stream.Element {
				f.deliver("<message type='chat' id='m" + to + "' from='" + alice + "' to='" + to + "'><body>" + body + "</body><request xmlns='" + nsReceipts + "'/></message>")
				return f.sent()
			}()
			if len(out) != 2 {
				t.Fatalf("%s: %v", to, out)
			}
			for _, st := range out {
				if st.Attr("from") != accountHub {
					t.Errorf("%s: %s", to, st)
				}
			}
			if r := f.requests(); len(r) != 1 || r[0].Device != "lamp" {
				t.Errorf("%s: executed %v", to, r)
			}
			time.Sleep(time.Minute)
		}
		f.sent()
		if err := f.SendNow(t.Context(), []Outgoing{{ID: "a1", To: "alice@example.org", Device: "oven", Body: "Oven: too hot", At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		if out := f.sent(); len(out) != 1 || out[0].Attr("from") != accountHub {
			t.Errorf("an alert: %v", out)
		}
	})
}

// An event subscription at a device's own address ends with that; one at the hub goes on.
func TestSingleEvents(t *testing.T) {
	bubble(t, setup{audience: Broadcast, mode: mapping.Client}, func(f *fixture) {
		f.Up(accountHub)
		for id, to := range map[string]string{"s1": account + "/lamp", "s2": accountHub} {
			got := f.answer("<iq type='get' id='" + id + "' from='" + alice + "' to='" + to + "'><subscribe xmlns='urn:nf:iot:events:1.0' id='" + id + "' m='true'><nd id='lamp'/></subscribe></iq>")
			if got.Attr("type") != "result" {
				t.Fatalf("%s: %s", id, got)
			}
		}
		f.Single()
		f.sent()
		f.house.read("lamp", "power", devices.Bool(true))
		time.Sleep(time.Second)
		var got []string
		for _, st := range f.sent() {
			if st.Name == "message" {
				got = append(got, st.Attr("from")+" "+st.First().Attr("id"))
			}
		}
		equal(t, "events", got, []string{accountHub + " s2"})
	})
}
