//go:build servers

package scenario

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"image"
	_ "image/jpeg" // of the camera
	_ "image/png"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	mqttsim "tidings/firmware-sim/mqtt"
	"tidings/xmppbridge/xmpptest"
)

// pictureGrounds are the grounds with servers of their own that take files: from their accounts and from the first
// component, not from the second.
func pictureGrounds(t *testing.T) (admitted, refused []*ground) {
	t.Helper()
	p := xmpptest.StartProsody(t, xmpptest.Options{Domain: "prosody3.test", Upload: []string{"gw.prosody3.test"}})
	e := xmpptest.StartEjabberd(t, xmpptest.EjabberdOptions{Options: xmpptest.Options{Domain: "ejabberd3.test", Upload: []string{"gw.ejabberd3.test"}}})
	in := inside()
	in.xmpp += "upload = { listen = \"127.0.0.1:0\" }\n"
	return []*ground{
			component("prosody component", p.Domain, p.Component, p.Components[0], p),
			component("ejabberd component", e.Domain, e.ComponentAddrs[0], e.Components[0], e),
			account("prosody client", p, "gateway"),
			in,
		}, []*ground{
			component("prosody component", p.Domain, p.Component, p.Components[1], p),
			component("ejabberd component", e.Domain, e.ComponentAddrs[1], e.Components[1], e),
		}
}

// camera is a device that sees something.
const camera = `
[devices.porch]
driver = "house"
name = "Porch"
location = "Hall"
class = "camera"
settle = "0s"
availability = "tele/camera/LWT"
online = "Online"
offline = "Offline"
[devices.porch.points.view]
kind = "image"
source = "tele/camera/PICTURE"
`

// photo asks for what the camera sees, when it has seen something: by the command, which may be asked for again and again as
// words may not, and by words.
func (h *house) photo(c *xmpptest.Client) {
	h.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		done := c.Command(h.ground.full("porch"), "porch/photo", xmpptest.Stage{})
		if len(done.Notes) == 1 && done.Notes[0].Type == "info" {
			break
		}
		if time.Now().After(end) {
			h.t.Fatalf("the camera sees nothing: %+v", done)
		}
	}
	h.sees(c.ExpectMessage(xmpptest.Expect{From: h.ground.full("porch"), XML: "jabber:x:oob"}), "jpeg", mqttsim.PictureWidth, mqttsim.PictureHeight)
	c.Say(h.ground.full("home"), "photo porch")
	h.sees(c.ExpectMessage(xmpptest.Expect{From: h.ground.full("home"), XML: "jabber:x:oob"}), "jpeg", mqttsim.PictureWidth, mqttsim.PictureHeight)
}

// TestPictures asks for charts as people do, and fetches them as their clients do.
func TestPictures(t *testing.T) {
	t.Parallel()
	admitted, refused := pictureGrounds(t)
	for _, g := range admitted {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			h := begin(t, g)
			alice := h.client("alice")
			h.meet(alice, "greenhouse", "lamp")
			alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Contains: "30 °C"})
			h.keeps(alice, "temperature")
			alice.Say(g.full("greenhouse"), "chart temperature 1h")
			h.sees(alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), XML: "jabber:x:oob"}), "png", 800, 400)
			alice.Say(g.full("home"), "chart lamp power 10 min dark")
			h.sees(alice.ExpectMessage(xmpptest.Expect{From: g.full("home"), XML: "jabber:x:oob"}), "png", 800, 400)

			form := alice.Command(g.full("greenhouse"), "greenhouse/chart", xmpptest.Stage{})
			done := alice.Command(g.full("greenhouse"), "greenhouse/chart", xmpptest.Stage{Session: form.Session, Action: "complete",
				Fields: map[string]any{"point": "humidity", "span": "6h"}})
			if done.Status != "completed" || len(done.Notes) != 1 || !strings.Contains(done.Notes[0].Text, "Greenhouse: humidity, 6 h: http") {
				t.Errorf("the command: %+v", done)
			}
			h.sees(alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), XML: "jabber:x:oob"}), "png", 800, 400)

			h.configure(base + camera + "[alerts.humid]\ndevice = \"greenhouse\"\nwhen = \"humidity > 50\"\nto = [\"alice@{{domain}}\"]\nchart = \"1h\"\n")
			if err := h.gateway.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			alice.Say(g.full("greenhouse"), "pump on")
			alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Really"})
			alice.Say(g.full("greenhouse"), "yes")
			alice.ExpectMessage(xmpptest.Expect{Contains: "(humid)"})
			h.sees(alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), XML: "jabber:x:oob"}), "png", 800, 400)

			addrs, err := h.gateway.BrokerAddrs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			h.run(mqttsim.NewCamera(mqttsim.Options{Broker: "mqtt://" + addrs[0].String()}).Run)
			h.meet(alice, "porch")
			alice.ExpectPresence(xmpptest.Expect{From: g.full("porch"), Type: "available"})
			h.photo(alice)
		})
	}
	for _, g := range refused {
		t.Run(g.name+" not admitted", func(t *testing.T) {
			t.Parallel()
			h := begin(t, g)
			alice := h.client("alice")
			h.meet(alice, "greenhouse")
			alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Contains: "30 °C"})
			h.keeps(alice, "temperature")
			alice.Say(g.full("greenhouse"), "chart temperature 1h")
			told := alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "No picture"})
			for _, want := range []string{g.things, "http_file_share_access", "mod_http_upload", "Greenhouse: temperature, 1 h\nMin: 30 °C\nMean: 30 °C"} {
				if !strings.Contains(told.Body, want) {
					t.Errorf("no %q in %q", want, told.Body)
				}
			}
		})
	}
	for _, g := range []*ground{component("prosody component", prosody.Domain, prosody.Component, prosody.Components[5], prosody), inside()} {
		t.Run(g.name+" without a service", func(t *testing.T) {
			t.Parallel()
			h := begin(t, g)
			alice := h.client("alice")
			h.meet(alice, "greenhouse")
			alice.ExpectPresence(xmpptest.Expect{From: g.full("greenhouse"), Type: "available", Contains: "30 °C"})
			h.keeps(alice, "temperature")
			alice.Say(g.full("greenhouse"), "chart temperature 1h")
			alice.ExpectMessage(xmpptest.Expect{From: g.full("greenhouse"), Contains: "Mean: 30 °C"})
		})
	}
}

// keeps waits until the history has a reading of the greenhouse: what is shown may be a moment ahead of it.
func (h *house) keeps(c *xmpptest.Client, point string) {
	h.t.Helper()
	const node = "greenhouse/history"
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		form := c.Command(h.ground.full("greenhouse"), node, xmpptest.Stage{})
		done := c.Command(h.ground.full("greenhouse"), node, xmpptest.Stage{Session: form.Session, Action: "complete",
			Fields: map[string]any{"point": point, "time": "1h"}})
		if done.Form != nil && len(done.Form.Items) > 0 {
			return
		}
		if time.Now().After(end) {
			h.t.Fatalf("no reading is kept: %+v", done)
		}
	}
}

// sees fetches the picture of a message as a client does that shows it, and says of what kind and size it has to be.
func (h *house) sees(st xmpptest.Stanza, format string, width, height int) {
	h.t.Helper()
	var message struct {
		Body string `xml:"body"`
		URL  string `xml:"jabber:x:oob x>url"`
	}
	if err := xml.Unmarshal([]byte(st.XML), &message); err != nil || message.URL == "" || message.Body != message.URL {
		h.t.Fatalf("no picture that clients show: %v %s", err, st.XML)
	}
	roots := x509.NewCertPool()
	if content, err := os.ReadFile(h.dir + "/xmpp.pem"); err == nil {
		roots.AppendCertsFromPEM(content)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: h.ground.domain}, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Get(message.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "image/"+format {
		h.t.Errorf("%s: %s, %s", message.URL, resp.Status, kind)
	}
	img, got, err := image.Decode(resp.Body)
	if err != nil || got != format || img.Bounds().Dx() != width || img.Bounds().Dy() != height {
		h.t.Errorf("%s: %s, %v, want a %s of %d×%d", message.URL, got, err, format, width, height)
	}
}
