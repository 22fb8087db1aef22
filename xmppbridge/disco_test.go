package xmppbridge

import (
	"crypto/sha1"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"tidings/mapping"
	"tidings/xmppbridge/stream"
)

func get(from, to, payload string) string {
	return "<iq type='get' id='1' from='" + from + "' to='" + to + "'>" + payload + "</iq>"
}

// verification computes XEP-0115 §5.1 from a disco#info answer, as a client does.
func verification(query *stream.Element) string {
	var identities, features []string
	for c := range query.Children() {
		switch c.Name {
		case "identity":
			identities = append(identities, c.Attr("category")+"/"+c.Attr("type")+"/"+c.Attr("xml:lang")+"/"+c.Attr("name")+"<")
		case "feature":
			features = append(features, c.Attr("var")+"<")
		}
	}
	slices.Sort(identities)
	slices.Sort(features)
	sum := sha1.Sum([]byte(strings.Join(identities, "") + strings.Join(features, "")))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// What presence announces is what disco answers, for the hub, the domain and a device; other nodes are not there.
func TestCaps(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, full := range []string{lamp, hub, domain} {
			bare, _, _ := strings.Cut(full, "/")
			f.deliver(presenceOf(veraBare, bare, "subscribe"))
			out := f.sent()
			c := out[len(out)-1].Child(nsCaps, "c")
			if c.Attr("hash") != "sha-1" || c.Attr("ver") == "" {
				t.Fatalf("%s: caps %s", full, c)
			}
			info := f.answer(get(vera, full, "<query xmlns='"+nsDiscoInfo+"' node='"+c.Attr("node")+"#"+c.Attr("ver")+"'/>")).First()
			if got := verification(info); got != c.Attr("ver") {
				t.Errorf("%s announces %s, disco says %s: %s", full, c.Attr("ver"), got, info)
			}
			plain := f.answer(get(vera, full, "<query xmlns='"+nsDiscoInfo+"'/>")).First()
			if got := verification(plain); got != c.Attr("ver") {
				t.Errorf("%s without a node: %s", full, got)
			}
			for _, node := range []string{capsNode + "#other", "nothing"} {
				if got := failure(f.answer(get(vera, full, "<query xmlns='"+nsDiscoInfo+"' node='"+node+"'/>"))); got != "item-not-found" {
					t.Errorf("%s: %s", node, got)
				}
			}
		}
		f.Up("")
		for _, st := range f.sent() {
			if from, c := st.Attr("from"), st.Child(nsCaps, "c"); c != nil {
				info := f.answer(get(vera, from, "<query xmlns='"+nsDiscoInfo+"' node='"+c.Attr("node")+"#"+c.Attr("ver")+"'/>"))
				if info.Attr("type") != "result" {
					t.Errorf("%s, up again: %s", from, info)
				}
			}
		}
	})
}

// Everything announced is answered.
func TestFeaturesAreAnswered(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, c := range []struct{ space, name string }{{nsPing, "ping"}, {nsVersion, "query"}, {nsTime, "time"}, {nsLast, "query"},
			{nsDiscoInfo, "query"}, {nsDiscoItems, "query"}} {
			if !slices.Contains(f.caps.vars, c.space) {
				t.Errorf("%s is not announced", c.space)
			}
			for _, to := range []string{lamp, lampBare, hub, hubBare, domain} {
				if got := f.answer(get(vera, to, "<"+c.name+" xmlns='"+c.space+"'/>")); got.Attr("type") != "result" || got.Attr("from") != to {
					t.Errorf("%s to %s: %s", c.space, to, got)
				}
			}
		}
		for _, payload := range []string{"<query xmlns='urn:example:none'/>", "<ping xmlns='urn:example:none'/>"} {
			if got := failure(f.answer(get(vera, lamp, payload))); got != "service-unavailable" {
				t.Errorf("%s: %s", payload, got)
			}
		}
		for _, payload := range []string{"", "<ping xmlns='urn:xmpp:ping'/><ping xmlns='urn:xmpp:ping'/>", "<ping xmlns='urn:xmpp:ping'/><x xmlns='y'/>"} {
			if got := failure(f.answer(get(vera, lamp, payload))); got != "bad-request" {
				t.Errorf("not one payload, %q: %s", payload, got)
			}
		}
		f.silence("<iq type='result' id='1' from='" + vera + "' to='" + lamp + "'/>")
		f.silence("<iq type='error' id='1' from='" + vera + "' to='" + lamp + "'/>")
		f.silence("<iq type='odd' id='1' from='" + vera + "' to='" + lamp + "'><ping xmlns='urn:xmpp:ping'/></iq>")
	})
}

func TestDiscoNodes(t *testing.T) {
	bubble(t, setup{admin: testAdmin{}}, func(f *fixture) {
		for _, c := range []struct{ to, node, want string }{
			{lamp, nsCommands, "automation/command-list/Commands"},
			{lamp, "lamp/power/on", "automation/command-node/Power on"},
			{hub, "oven/target/set", "automation/command-node/Set target…"},
			{hub, "reload", "automation/command-node/Reload configuration"},
			{domain, "", "gateway/iot/House"},
		} {
			id := f.answer(get(alice, c.to, "<query xmlns='"+nsDiscoInfo+"' node='"+c.node+"'/>")).First().Child(nsDiscoInfo, "identity")
			if got := id.Attr("category") + "/" + id.Attr("type") + "/" + id.Attr("name"); got != c.want {
				t.Errorf("%s %s: %s, want %s", c.to, c.node, got, c.want)
			}
		}
		for _, c := range []struct {
			from, to string
			want     []string
		}{
			{alice, domain, []string{hub, lamp, oven}}, {alice, hub, []string{lamp, oven}}, {wim, hub, []string{lamp}}, {alice, lamp, nil},
		} {
			var got []string
			for i := range f.answer(get(c.from, c.to, "<query xmlns='"+nsDiscoItems+"'/>")).First().Children() {
				got = append(got, i.Attr("jid"))
			}
			equal(t, c.from+" "+c.to, got, c.want)
		}
		if got := failure(f.answer(get(vera, lamp, "<query xmlns='"+nsDiscoItems+"' node='nothing'/>"))); got != "item-not-found" {
			t.Error(got)
		}
	})
}

// The domain of the server inside is also that of a server.
func TestDiscoOfServerInside(t *testing.T) {
	bubble(t, setup{audience: Rosters}, func(f *fixture) {
		info := f.answer(get(vera, domain, "<query xmlns='"+nsDiscoInfo+"'/>")).First()
		var identities []string
		features := map[string]int{}
		for c := range info.Children() {
			if c.Name == "identity" {
				identities = append(identities, c.Attr("category")+"/"+c.Attr("type"))
			} else {
				features[c.Attr("var")]++
			}
		}
		equal(t, "identities", identities, []string{"gateway/iot", "server/im"})
		last := ""
		for c := range info.Children() {
			if c.Name == "identity" && last == "feature" {
				t.Errorf("an identity behind a feature: %s", info)
			}
			last = c.Name
		}
		for v, n := range features {
			if n != 1 {
				t.Errorf("%s %d times", v, n)
			}
		}
		if features[nsRoster] != 1 {
			t.Errorf("features %v", features)
		}
	})
}

// A stranger learns nothing from any address: the answers differ in nothing but the address.
func TestStranger(t *testing.T) {
	bubble(t, setup{}, func(f *fixture) {
		for _, payload := range []string{"<query xmlns='" + nsDiscoInfo + "'/>", "<ping xmlns='urn:xmpp:ping'/>", "<x xmlns='y'/>", "",
			"<command xmlns='" + nsCommands + "' node='lamp/power/on'/>"} {
			for _, typ := range []string{"get", "set"} {
				want := ""
				for _, to := range []string{lamp, lampBare, "nothing@things.example.org", "nothing@things.example.org/x", hub, hubBare, domain, domain + "/x"} {
					answer := f.answer("<iq type='" + typ + "' id='1' from='" + mallory + "' to='" + to + "'>" + payload + "</iq>")
					if failure(answer) != "service-unavailable" || answer.Attr("from") != to {
						t.Errorf("%s %s: %s", to, payload, answer)
					}
					if text := answer.SetAttr("from", "").String(); want == "" {
						want = text
					} else if text != want {
						t.Errorf("%s answers\n%s, others\n%s", to, text, want)
					}
				}
			}
		}
		for _, to := range []string{lamp, hub, domain, "nothing@things.example.org"} {
			f.silence("<message type='chat' id='1' from='" + mallory + "' to='" + to + "'><body>help</body><request xmlns='urn:xmpp:receipts'/></message>")
		}
		if len(f.requests()) != 0 {
			t.Error("something was executed")
		}
	})
}

// An account's own server asks without saying who it is, and is answered; elsewhere such a stanza is from nobody.
func TestIQOfOwnServer(t *testing.T) {
	const gw = "gw@example.org"
	bubble(t, setup{audience: Broadcast, mode: mapping.Client}, func(f *fixture) {
		for _, c := range []struct{ typ, to, payload, want string }{
			{"get", gw + "/home", "<ping xmlns='urn:xmpp:ping'/>", "result"},
			{"get", gw + "/lamp", "<query xmlns='" + nsDiscoInfo + "'/>", "result"},
			{"get", gw + "/home", "<query xmlns='jabber:iq:version'/>", "result"},
			{"set", gw + "/home", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"},
			{"get", gw + "/home", "<query xmlns='" + nsDiscoItems + "'/>", "service-unavailable"},
			{"get", gw + "/lamp", "<query xmlns='" + nsDiscoInfo + "' node='lamp/power/on'/>", "service-unavailable"},
			{"set", gw + "/lamp", "<command xmlns='" + nsCommands + "' node='lamp/power/on'/>", "service-unavailable"},
			{"set", gw + "/home", "<push xmlns='urn:example:none'/>", "service-unavailable"},
			{"get", gw + "/none", "<ping xmlns='urn:xmpp:ping'/>", "service-unavailable"},
			{"get", gw + "/home", "", "service-unavailable"},
		} {
			got := f.answer("<iq type='" + c.typ + "' id='s1' to='" + c.to + "'>" + c.payload + "</iq>")
			said := got.Attr("type")
			if said == "error" {
				said = failure(got)
			}
			if said != c.want || got.Attr("id") != "s1" || got.Attr("to") != "" || got.Attr("from") != c.to {
				t.Errorf("%s %s: %s", c.typ, c.payload, got)
			}
		}
		if len(f.requests()) != 0 {
			t.Error("it was executed")
		}
		f.silence("<iq type='result' id='s1' to='" + gw + "/home'/>")
		f.silence("<message to='" + gw + "/home'><body>lamp on</body></message>")
		f.silence("<presence to='" + gw + "/home'/>")
	})
	t.Run("component", func(t *testing.T) {
		bubble(t, setup{}, func(f *fixture) {
			f.silence("<iq type='get' id='s1' to='" + lamp + "'><ping xmlns='urn:xmpp:ping'/></iq>")
		})
	})
}
