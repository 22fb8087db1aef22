package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/link"
	"tidings/xmppbridge/stream"
)

const (
	nsRoster   = "jabber:iq:roster"
	nsItems    = "http://jabber.org/protocol/disco#items"
	nsCommands = "http://jabber.org/protocol/commands"
	nsForm     = "jabber:x:data"
	nsOOB      = "jabber:x:oob"
)

// A tour is a client of the demo's server that does what a person would and prints what they would see.
type tour struct {
	out                           io.Writer
	server, password, certificate string
	patience                      time.Duration // with each thing it waits for
	residents                     []string      // names of the devices

	stream *stream.Stream
	unsaid error // why the output could not be written

	mu   sync.Mutex
	seen []*stream.Element // stanzas that came, in order
	news chan struct{}     // closed and replaced when one comes
}

// take logs in over TCP and TLS and looks at everything. The error says what did not happen.
func (t *tour) take(ctx context.Context) error {
	conn, err := link.DialClient(ctx, link.ClientConfig{JID: demoAccount + "@localhost", Resource: "tour",
		Password: link.Secret(t.password), Server: t.server, TLS: link.TLS{CAFile: t.certificate}})
	if err != nil {
		return err
	}
	t.news = make(chan struct{})
	decoder := stream.NewDecoder(conn, stream.Limits{})
	decoder.Assume(stream.Header{NS: stream.NS})
	t.stream = stream.NewStream(conn, decoder, stream.Options{JID: conn.JID, Handle: t.handle})
	t.say("Logged in as %s at %s: TLS, %s", conn.JID, t.server, conn.Mechanism)
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- t.stream.Run(running) }()
	err = t.steps(ctx)
	stop()
	return errors.Join(err, <-done)
}

func (t *tour) say(format string, args ...any) {
	if _, err := fmt.Fprintf(t.out, format+"\n", args...); err != nil {
		t.unsaid = err
	}
}

// handle keeps what comes: it runs on the reader's goroutine.
func (t *tour) handle(st *stream.Element) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = append(t.seen, st)
	close(t.news)
	t.news = make(chan struct{})
}

// await returns the first stanza from the given place in seen on that is wanted.
func (t *tour) await(ctx context.Context, from int, what string, want func(*stream.Element) bool) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	for {
		t.mu.Lock()
		seen, news := t.seen[from:], t.news
		t.mu.Unlock()
		if i := slices.IndexFunc(seen, want); i >= 0 {
			return seen[i], nil
		}
		from += len(seen)
		if err := t.next(ctx, news, what); err != nil {
			return nil, err
		}
	}
}

// next waits for one more stanza.
func (t *tour) next(ctx context.Context, news <-chan struct{}, what string) error {
	select {
	case <-news:
		return nil
	case <-t.stream.Done():
		return fmt.Errorf("%s did not happen: the stream ended", what)
	case <-ctx.Done():
		return fmt.Errorf("%s did not happen within %s", what, t.patience)
	}
}

func (t *tour) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.seen)
}

func (t *tour) ask(ctx context.Context, typ, to string, payload *stream.Element) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	answer, err := t.stream.Request(ctx, stream.New(stream.NS, "iq", "type", typ, "to", to).Add(payload))
	if err != nil {
		return nil, err
	}
	return answer.First(), nil
}

func (t *tour) steps(ctx context.Context) error {
	for _, step := range []func(context.Context) error{t.contacts, t.commands, t.pump, t.danger, t.chat, t.mistake, t.alert} {
		if err := errors.Join(step(ctx), t.unsaid); err != nil {
			return err
		}
	}
	t.say("\nThat is what a person sees. `tidings demo` keeps the house running to log in to.")
	return nil
}

// roster returns the contact list once everyone is in it: devices appear as their drivers start.
func (t *tour) roster(ctx context.Context) (*stream.Element, error) {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	for {
		t.mu.Lock()
		news := t.news
		t.mu.Unlock()
		roster, err := t.ask(ctx, "get", "", stream.New(nsRoster, "query"))
		if err != nil {
			return nil, fmt.Errorf("contact list: %w", err)
		}
		there := map[string]bool{}
		for item := range roster.Children() {
			there[item.Attr("name")] = true
		}
		missing := slices.IndexFunc(t.residents, func(name string) bool { return !there[name] })
		if missing < 0 {
			return roster, nil
		}
		if err := t.next(ctx, news, t.residents[missing]+" coming into the contact list"); err != nil {
			return nil, err
		}
	}
}

// contacts prints the contact list with what presence says.
func (t *tour) contacts(ctx context.Context) error {
	roster, err := t.roster(ctx)
	if err != nil {
		return err
	}
	if err := t.stream.Send(stream.New(stream.NS, "presence")); err != nil {
		return err
	}
	contacts := table{columns: make([]column, 4)}
	for item := range roster.Children() {
		jid := item.Attr("jid")
		becoming, typ := " coming online", ""
		if item.Attr("name") == demoOffline {
			becoming, typ = " being offline", "unavailable"
		}
		p, err := t.await(ctx, 0, item.Attr("name")+becoming, func(st *stream.Element) bool {
			return st.Name == "presence" && st.Attr("type") == typ && strings.HasPrefix(st.Attr("from"), jid+"/") &&
				st.ChildText(stream.NS, "status") != "no reading yet"
		})
		if err != nil {
			return err
		}
		status := p.ChildText(stream.NS, "status")
		if typ != "" {
			status = "(offline) " + status
		}
		contacts.row("  "+item.ChildText(nsRoster, "group"), item.Attr("name"), p.Attr("from"), status)
	}
	slices.SortFunc(contacts.rows, slices.Compare)
	t.say("\nContacts, in groups by room:")
	return contacts.print(t.out, 0)
}

const greenhouse = "greenhouse@localhost/greenhouse"

func (t *tour) commands(ctx context.Context) error {
	list, err := t.ask(ctx, "get", greenhouse, stream.New(nsItems, "query", "node", nsCommands))
	if err != nil {
		return fmt.Errorf("command list: %w", err)
	}
	t.say("\nCommands of the greenhouse:")
	for item := range list.Children() {
		t.say("  %-20s %s", item.Attr("name"), item.Attr("node"))
	}
	return nil
}

// execute sends one stage of a command.
func (t *tour) execute(ctx context.Context, to, node, session, action string, fields ...string) (*stream.Element, error) {
	c := stream.New(nsCommands, "command", "node", node, "sessionid", session, "action", action)
	if len(fields) > 0 {
		form := stream.New(nsForm, "x", "type", "submit")
		for ; len(fields) > 1; fields = fields[2:] {
			form.Add(stream.New(nsForm, "field", "var", fields[0]).Add(stream.New(nsForm, "value").AddText(fields[1])))
		}
		c.Add(form)
	}
	return t.ask(ctx, "set", to, c)
}

func (t *tour) pump(ctx context.Context) error {
	done, err := t.execute(ctx, greenhouse, "greenhouse/pump/on", "", "execute")
	if err != nil {
		return fmt.Errorf("pump on: %w", err)
	}
	note := done.ChildText(nsCommands, "note")
	t.say("\nCommand \"Pump on\": %s", note)
	if !strings.Contains(note, "confirmed by the device") {
		return fmt.Errorf("pump on: the device did not confirm: %s", note)
	}
	return nil
}

func (t *tour) danger(ctx context.Context) error {
	const heater, node = "heater@localhost/heater", "heater/power/on"
	form, err := t.execute(ctx, heater, node, "", "execute")
	if err != nil {
		return fmt.Errorf("heater on: %w", err)
	}
	field := form.Child(nsForm, "x").Child(nsForm, "field")
	if form.Attr("status") != "executing" || field.Attr("var") != "really" {
		return fmt.Errorf("heater on: it is marked as dangerous and did not ask: %s", form)
	}
	done, err := t.execute(ctx, heater, node, form.Attr("sessionid"), "complete", "really", "1")
	if err != nil {
		return fmt.Errorf("heater on: %w", err)
	}
	t.say("Command \"Power on\" of the heater asks %q; after yes: %s", field.Attr("label"), done.ChildText(nsCommands, "note"))
	return nil
}

// chat says to the house and to devices what a person would.
func (t *tour) chat(ctx context.Context) error {
	t.say("\nChat with the house, and with devices that were found by themselves:")
	for _, line := range []struct{ to, words, want string }{
		{"home", "lamp on", "confirmed"}, {"lamp", "brightness 40", "confirmed"}, {"lamp", "color red", "confirmed"}, {"blind", "close", "accepted"},
	} {
		from, to := t.count(), line.to+"@localhost"
		if err := t.stream.Send(stream.New(stream.NS, "message", "type", "chat", "to", to).
			Add(stream.New(stream.NS, "body").AddText(line.words))); err != nil {
			return err
		}
		answer, err := t.await(ctx, from, "an answer to \""+line.words+"\"", func(st *stream.Element) bool {
			return st.Name == "message" && strings.HasPrefix(st.Attr("from"), to) && st.Body() != ""
		})
		if err != nil {
			return err
		}
		t.say("  %-6s %-15q %s", line.to, line.words, answer.Body())
		if !strings.Contains(answer.Body(), line.want) {
			return fmt.Errorf("%s: %s", line.words, answer.Body())
		}
	}
	return nil
}

func (t *tour) mistake(ctx context.Context) error {
	const node = "greenhouse/target/set"
	form, err := t.execute(ctx, greenhouse, node, "", "execute")
	if err != nil {
		return fmt.Errorf("set target: %w", err)
	}
	_, err = t.execute(ctx, greenhouse, node, form.Attr("sessionid"), "complete", "value", "99")
	var refused *stream.StanzaError
	if !errors.As(err, &refused) {
		return fmt.Errorf("set target to 99: it should have been refused: %v", err)
	}
	t.say("\nAn error: target set to 99\n  %s", refused)
	return nil
}

func (t *tour) alert(ctx context.Context) error {
	t.say("\nWaiting for the greenhouse to get too hot …")
	alert := func(word string) func(*stream.Element) bool {
		return func(st *stream.Element) bool {
			return st.Name == "message" && strings.HasPrefix(st.Attr("from"), "greenhouse@localhost/") && strings.Contains(st.Body(), word)
		}
	}
	m, err := t.await(ctx, 0, "the alert of the greenhouse", alert("open the window.\nSay"))
	if err != nil {
		return err
	}
	t.say("Alert from %s:\n  %s", m.Attr("from"), strings.ReplaceAll(m.Body(), "\n", "\n  "))
	picture, err := t.await(ctx, 0, "the chart of the alert", func(st *stream.Element) bool {
		return st.Name == "message" && st.Attr("from") == greenhouse && st.Child(nsOOB, "x") != nil
	})
	if err != nil {
		return err
	}
	if err := t.fetch(ctx, picture.Child(nsOOB, "x").ChildText(nsOOB, "url")); err != nil {
		return fmt.Errorf("chart of the alert: %w", err)
	}
	m, err = t.await(ctx, 0, "the end of the alert", alert("too-hot over"))
	if err != nil {
		return err
	}
	t.say("And its end:\n  %s", m.Body())
	return nil
}

// fetch gets a picture as a client does to show it, over TLS with the server's certificate.
func (t *tour) fetch(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	certificate, err := os.ReadFile(t.certificate)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(ask)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	picture, err := png.DecodeConfig(answer.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	t.say("Its chart, a picture of %d by %d:\n  %s", picture.Width, picture.Height, url)
	return nil
}
