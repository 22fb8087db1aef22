//go:build servers

package scenario

import (
	"context"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"tidings/xmppbridge/xmpptest"
)

// A browser is a headless Chromium that shows Converse.js, a client that nobody here wrote.
type browser struct {
	t   *testing.T
	ctx context.Context
}

// openBrowser has Converse.js log somebody in over WebSocket.
func openBrowser(t *testing.T, webSocket, jid, password string) *browser {
	t.Helper()
	page := template.Must(template.ParseFiles("testdata/converse.html"))
	mux := http.NewServeMux()
	files := http.FileServer(http.Dir(converseFiles(t)))
	mux.Handle("/dist/", http.StripPrefix("/dist/", files))
	mux.Handle("/", files) // some of it is looked for beside the page
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		if err := page.Execute(w, map[string]string{"WebSocket": webSocket, "JID": jid, "Password": password}); err != nil {
			t.Error(err)
		}
	})
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)

	// Pictures come over HTTPS with the certificate that the gateway made, which a person would have to accept once.
	// What Chromium would tell and ask its maker is switched off; as root it has no sandbox of its own.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.IgnoreCertErrors,
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"), chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1100, 760), chromedp.WSURLReadTimeout(patience))
	allocator, end := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(end)
	ctx, end := chromedp.NewContext(allocator)
	b := &browser{t: t, ctx: ctx}
	console := chromedp.Console(ctx)
	read := make(chan struct{})
	var said []string
	go func() {
		defer close(read)
		for m, err := range console {
			if err != nil {
				return
			}
			said = append(said, m.String())
		}
	}()
	t.Cleanup(func() {
		end()
		if <-read; t.Failed() {
			t.Logf("--- console\n%s", strings.Join(said, "\n"))
		}
	})
	// The first call starts the browser, which lives as long as its context.
	if err := chromedp.Do(ctx, chromedp.Navigate(site.URL)); err != nil {
		t.Fatalf("open the page: %v", err)
	}
	return b
}

// converseFiles is where .ci/deps has put Converse.js.
func converseFiles(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "tidings-tests", "converse.js-14.0.0", "dist")
	if _, err := os.Stat(filepath.Join(dir, "converse.js")); err != nil {
		t.Fatalf("Converse.js is missing: run .ci/deps: %v", err)
	}
	return dir
}

// do does something in the page, within what may be expected of a loaded machine.
func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.shoot("failed")
		b.t.Fatalf("%s: %v", what, err)
	}
}

// await waits until an expression holds in the page.
func (b *browser) await(what, expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond),
		chromedp.WithPollingTimeout(patience))); err != nil {
		b.shoot("failed")
		b.t.Fatalf("%s: %v", what, err)
	}
}

// click clicks on what a selector finds, when it is there.
func (b *browser) click(what, selector string) {
	b.t.Helper()
	b.do(what, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

// write types into the field that a selector finds.
func (b *browser) write(what, selector, text string) {
	b.t.Helper()
	b.do(what, chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

// shoot keeps a picture of the page.
func (b *browser) shoot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("no picture %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), png, 0o644); err != nil {
		b.t.Error(err)
	}
}

// A person with Converse.js in a browser logs in over WebSocket, sees the devices, runs a command from the dialog, and gets
// an alert with a chart.
func TestConverse(t *testing.T) {
	t.Parallel()
	g := inside()
	webSocket := freeAddress(t)
	g.xmpp += fmt.Sprintf("websocket = %q\nupload = { listen = \"127.0.0.1:0\" }\n", webSocket)
	h := begin(t, g)
	h.configure(base + "chart = \"1h\"\n") // base ends with the alert
	h.stop()
	h.start()
	h.plugIn()
	b := openBrowser(t, "ws://"+webSocket+"/xmpp-websocket", g.person("alice"), xmpptest.Password("alice"))

	for name, title := range map[string]string{"home": "House", "greenhouse": "Greenhouse", "door": "Front door", "lamp": "Lamp"} {
		contact := fmt.Sprintf(`a.open-chat[data-jid="%s"]`, g.bare(name))
		b.await("see "+title, fmt.Sprintf(`document.querySelector('%s .contact-name')?.textContent.trim() == %q`, contact, title))
		b.await(title+" is online", fmt.Sprintf(`document.querySelector('%s .contact-name--online') != null`, contact))
	}
	for _, room := range []string{"Garden", "Hall"} {
		b.await("see the group "+room, fmt.Sprintf(`[...document.querySelectorAll('.roster-group')].some(e => e.textContent.includes(%q))`, room))
	}
	b.shoot("contacts")

	b.click("open the settings", "a.show-client-info")
	b.click("turn to commands", `a[data-name="commands"]`)
	b.do("whose commands are preset", chromedp.Clear(chromedp.CSS(`converse-adhoc-commands input[name="jid"]`)))
	b.write("type whose commands", `converse-adhoc-commands input[name="jid"]`, g.full("lamp"))
	b.click("list the commands", `converse-adhoc-commands input[type="submit"]`)
	b.click("run Power on", `a[data-command-node="lamp/power/on"]`)
	b.await("see it confirmed", `[...document.querySelectorAll('converse-adhoc-commands .alert')].some(e => e.textContent.includes("Power is on (confirmed by the device)"))`)
	b.shoot("command")
	if !h.lamp.Power() {
		t.Error("the lamp is off")
	}
	b.click("close the settings", `converse-user-settings-modal .modal-footer button`)
	b.await("they are closed", `!document.querySelector('.modal-backdrop, .modal.show')`)

	b.click("open the chat", fmt.Sprintf(`a.open-chat[data-jid="%s"]`, g.bare("greenhouse")))
	b.say("pump on", "Really Greenhouse: Pump on?")
	b.say("yes", "Pump is on (confirmed by the device).")
	b.await("read the alert", `[...document.querySelectorAll('.chat-msg__text')].some(e => e.textContent.includes("Greenhouse is being watered"))`)
	b.await("see its chart", `[...document.querySelectorAll('.chat-msg img.chat-image')].some(e => e.complete && e.naturalWidth == 800)`)
	b.shoot("alert")
}

// say writes into the open chat and waits for an answer.
func (b *browser) say(text, answer string) {
	b.t.Helper()
	b.write("say "+text, `textarea.chat-textarea`, text+kb.Enter)
	b.await("hear "+answer, fmt.Sprintf(`[...document.querySelectorAll('.chat-msg__text')].some(e => e.textContent.includes(%q))`, answer))
}

// freeAddress is one that nobody listens on at the moment.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
