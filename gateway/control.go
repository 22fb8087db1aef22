package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tidings/devices"
	"tidings/devices/schema"
	"tidings/gateway/config"
	"tidings/mapping"
	"tidings/xmppbridge"
)

// The control socket speaks HTTP with JSON on a unix socket. Whoever may open the file may do everything: its mode is
// 0660, so that is its owner and group. Package gateway/control is the client.

// controlLimit bounds what one request to the socket may send.
const controlLimit = 64 << 10

// A DeviceStatus is one device as `tidings devices` shows it.
type DeviceStatus struct {
	ID       devices.ID    `json:"id"`
	Slug     string        `json:"slug"` // its name in addresses, which `tidings send` takes, too
	Name     string        `json:"name"`
	JID      string        `json:"jid"`
	Driver   string        `json:"driver"`
	Location string        `json:"location,omitempty"`
	Online   bool          `json:"online"`
	Disabled bool          `json:"disabled,omitempty"`
	Status   string        `json:"status"` // what presence says, or why it is offline
	Points   []PointStatus `json:"points"`
	Commands []string      `json:"commands,omitempty"` // what `tidings send` understands
	Notes    []string      `json:"notes,omitempty"`    // what of it was not understood
	Model    string        `json:"model,omitempty"`
	Version  string        `json:"version,omitempty"`
	Match    string        `json:"match,omitempty"` // of a discovered device: for `match` in a table of its own
}

// A PointStatus is one point of it, in words.
type PointStatus struct {
	Name  string    `json:"name"`
	Value string    `json:"value"`
	At    time.Time `json:"at,omitzero"`
}

// A Status is the gateway in a few words.
type Status struct {
	Name      string         `json:"name"`
	Version   string         `json:"version"`
	Connected bool           `json:"connected"` // to its server, or serving
	Drivers   []DriverHealth `json:"drivers"`
	Rooms     []RoomHealth   `json:"rooms,omitempty"`
	// Since the start: readings that a later one of the same point overtook before they were looked at, which is nothing lost, and
	// what was refused because there were too many devices or events, or of no device announced.
	Overtaken uint64 `json:"overtaken"`
	Refused   uint64 `json:"refused"`
}

// A DriverHealth is one connection.
type DriverHealth struct {
	Name  string `json:"name"`
	Type  string `json:"type"`
	Error string `json:"error,omitempty"` // empty: working
}

// A RoomHealth is one room.
type RoomHealth struct {
	JID    string `json:"jid"`
	Joined bool   `json:"joined"` // and what is to be said there can be
	State  string `json:"state"`  // "joined as home", or what is wrong and what to do about it
}

// A SendRequest asks for what `tidings send` was told.
type SendRequest struct {
	Device devices.ID `json:"device"`
	Words  []string   `json:"words"`
	Yes    bool       `json:"yes"` // really
}

// A SendResult says what became of it.
type SendResult struct {
	Text      string `json:"text"`
	Confirmed bool   `json:"confirmed"`
}

// An AccountRequest adds or changes an account of the server inside; what is not asked for is empty.
type AccountRequest struct {
	Name     string `json:"name"`
	Role     string `json:"role,omitempty"`
	Password string `json:"password,omitempty"`
}

// An AccountStatus is one account.
type AccountStatus struct {
	Name string `json:"name"`
	JID  string `json:"jid"`
	Role string `json:"role"` // in force: what [access] says comes before the account's own
}

// An InviteRequest asks somebody to take the house as a contact.
type InviteRequest struct {
	JID string `json:"jid"`
}

// An InviteResult says how they can do it by themselves.
type InviteResult struct {
	URI   string `json:"uri"`
	Asked bool   `json:"asked"` // they were asked; false: they have it already
}

// A ControlError is the body of an answer that is no success.
type ControlError struct {
	Error string `json:"error"`
}

// serveControl serves what comes to the control socket.
func (g *Gateway) serveControl(listener net.Listener) *unit {
	server := &http.Server{Handler: g.controlHandler(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug)}
	return start(func(ctx context.Context) error {
		closing := start(func(own context.Context) error {
			select {
			case <-ctx.Done():
			case <-own.Done():
			}
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			if server.Shutdown(limited) != nil {
				return server.Close()
			}
			return nil
		})
		err := server.Serve(listener)
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		return errors.Join(err, closing.stop())
	})
}

// maxSocketPath is what fits into sockaddr_un with the zero behind it (unix(7)).
const maxSocketPath = 107

// listenControl takes the socket over from a gateway that is gone, never from one that answers.
func listenControl(path string) (net.Listener, error) {
	listener, err := listenUnix(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return listener, nil
}

func listenUnix(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the system takes %d bytes at most: name a shorter path with socket in [control]", maxSocketPath)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, errors.New("another gateway answers there: stop it, or give this one its own [control] socket and data_dir")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != os.ModeSocket {
			return nil, errors.New("there is something else of that name, which is left alone: name another path with socket in [control]")
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

func (g *Gateway) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", answer(func(_ context.Context, _ struct{}) (Status, error) { return g.Status(), nil }))
	mux.HandleFunc("GET /devices", answer(func(_ context.Context, _ struct{}) ([]DeviceStatus, error) { return g.DeviceStatus(), nil }))
	mux.HandleFunc("POST /send", answer(g.Send))
	mux.HandleFunc("GET /alerts", answer(func(_ context.Context, _ struct{}) ([]AlertStatus, error) { return g.AlertStatus(), nil }))
	mux.HandleFunc("POST /alerts/ack", answer(g.Acknowledge))
	mux.HandleFunc("POST /alerts/silence", answer(func(ctx context.Context, r SilenceRequest) (struct{}, error) {
		return struct{}{}, g.Silence(ctx, r)
	}))
	mux.HandleFunc("POST /reload", answer(func(ctx context.Context, _ struct{}) (struct{}, error) {
		return struct{}{}, g.detached(ctx, g.Reload)
	}))
	mux.HandleFunc("POST /invite", answer(func(_ context.Context, r InviteRequest) (InviteResult, error) { return g.Invite(r.JID) }))
	mux.HandleFunc("POST /accounts", answer(func(ctx context.Context, r AccountRequest) (struct{}, error) {
		return struct{}{}, g.AddAccount(ctx, r.Name, r.Role, r.Password)
	}))
	mux.HandleFunc("POST /invitations", answer(g.InviteAccount))
	mux.HandleFunc("GET /invitations", answer(func(_ context.Context, _ struct{}) ([]InvitationStatus, error) { return g.Invitations(), nil }))
	mux.HandleFunc("POST /invitations/withdraw", answer(func(ctx context.Context, r InvitationStatus) (struct{}, error) {
		return struct{}{}, g.WithdrawInvitation(ctx, r.ID)
	}))
	mux.HandleFunc("GET /accounts", answer(func(_ context.Context, _ struct{}) ([]AccountStatus, error) { return g.Accounts(), nil }))
	mux.HandleFunc("POST /accounts/remove", answer(func(ctx context.Context, r AccountRequest) (struct{}, error) {
		return struct{}{}, g.RemoveAccount(ctx, r.Name)
	}))
	mux.HandleFunc("POST /accounts/role", answer(func(ctx context.Context, r AccountRequest) (struct{}, error) {
		return struct{}{}, g.SetRole(ctx, r.Name, r.Role)
	}))
	mux.HandleFunc("POST /accounts/password", answer(func(ctx context.Context, r AccountRequest) (struct{}, error) {
		return struct{}{}, g.SetPassword(ctx, r.Name, r.Password)
	}))
	return mux
}

// answer makes a handler of a function from a JSON body to a JSON body.
func answer[In, Out any](f func(context.Context, In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if r.Method == http.MethodPost {
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, controlLimit))
			d.DisallowUnknownFields()
			if err := d.Decode(&in); err != nil {
				reply(w, http.StatusBadRequest, ControlError{"request: " + err.Error()})
				return
			}
		}
		out, err := f(r.Context(), in)
		if err != nil {
			reply(w, http.StatusUnprocessableEntity, ControlError{err.Error()})
			return
		}
		reply(w, http.StatusOK, out)
	}
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// The client is gone when this fails: there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}

// Status is how the gateway is.
func (g *Gateway) Status() Status {
	s := Status{Name: g.config.Load().Gateway.Name, Version: g.o.Version,
		Overtaken: g.router.inbox.coalesced.Load(), Refused: g.router.inbox.refused.Load() + g.router.inbox.dropped.Load()}
	if on := g.xmpp.Load(); on != nil {
		s.Connected = on.up.Load()
		for _, r := range on.bridge.Rooms() {
			s.Rooms = append(s.Rooms, RoomHealth(r))
		}
	}
	for _, d := range (admin{g}).Drivers() {
		h := DriverHealth{Name: d.Name, Type: d.Type}
		if d.Health != nil {
			h.Error = d.Health.Error()
		}
		s.Drivers = append(s.Drivers, h)
	}
	return s
}

// DeviceStatus is how every device is, sorted by id.
func (g *Gateway) DeviceStatus() []DeviceStatus {
	out := []DeviceStatus{}
	for _, d := range g.router.Devices() {
		_, state, ok := g.router.Device(d.ID)
		if !ok {
			continue
		}
		_, jid := g.addresses.Load().Device(d.ID)
		s := DeviceStatus{ID: d.ID, Slug: g.addresses.Load().Slug(d.ID), Name: d.Name, JID: jid, Driver: d.Driver, Location: d.Location, Disabled: d.Disabled, Notes: d.Notes,
			Model: d.Model, Version: d.Version, Match: d.Match}
		g.router.mu.RLock()
		shown, known := g.router.shown[d.ID]
		g.router.mu.RUnlock()
		s.Online, s.Status = shown.Online && !d.Disabled, shown.Status
		switch {
		case d.Disabled:
			s.Status = "disabled"
		case !known:
			s.Status = "not heard yet"
		}
		for i := range d.Points {
			p := &d.Points[i]
			if now, ok := state.Point(p.Name); ok && p.Readable {
				s.Points = append(s.Points, PointStatus{Name: p.Name, Value: p.FormatState(now), At: now.At})
			}
		}
		for _, a := range d.Actions() {
			switch {
			case a.Really:
			case a.Ask:
				s.Commands = append(s.Commands, "set "+a.Point.Name+" VALUE")
			default:
				s.Commands = append(s.Commands, strings.ToLower(a.Name))
			}
		}
		out = append(out, s)
	}
	return out
}

// Send carries out what words say to a device, for the control socket.
func (g *Gateway) Send(ctx context.Context, r SendRequest) (SendResult, error) {
	d, err := g.called(r.Device)
	if err != nil {
		return SendResult{}, err
	}
	if d.Disabled {
		return SendResult{}, disabled(d)
	}
	said := strings.TrimSpace(strings.Join(r.Words, " "))
	var action *mapping.Action
	var text string
	if said != "" { // words in quotes, too; a text keeps its spaces
		action, text = d.Understand(strings.Split(said, " "))
	}
	if action == nil {
		action, text = d.Understand(strings.Fields(said))
	}
	if action == nil {
		return SendResult{}, notUnderstood(d, string(r.Device), g.addresses.Load().Slug(d.ID), said)
	}
	value := action.Value
	if action.Ask {
		if value, err = action.Point.Parse(text); err != nil {
			return SendResult{}, err
		}
	}
	outcome, err := g.executor.Execute(ctx, devices.Request{By: devices.Control, Via: devices.ViaControl, Device: d.ID,
		Point: action.Point.Name, Value: value, Confirmed: r.Yes})
	if errors.Is(err, devices.ErrUnconfirmed) {
		return SendResult{}, fmt.Errorf("%w: add --yes if you mean it", err)
	}
	if err != nil {
		return SendResult{}, err
	}
	return SendResult{Text: sentWords(d, action.Point, outcome), Confirmed: outcome.Confirmed}, nil
}

// called finds the device that somebody means by its ID, its name in addresses or what it is called.
func (g *Gateway) called(said devices.ID) (*mapping.Device, error) {
	if d, _, ok := g.router.Device(said); ok {
		return d, nil
	}
	list := g.router.Devices()
	names := make([]mapping.Names, len(list))
	for i, d := range list {
		names[i] = mapping.Names{ID: d.ID, Slug: g.addresses.Load().Slug(d.ID), Name: d.Name}
	}
	i, err := mapping.Called(string(said), names)
	if err != nil {
		return nil, err
	}
	return list[i], nil
}

// notUnderstood says that words mean nothing to a device, by the name it was asked for, and which may have been meant. The slug is
// for what to type.
func notUnderstood(d *mapping.Device, name, slug, said string) error {
	var names []string
	for _, a := range d.Actions() {
		if !a.Really && !a.Ask {
			name := strings.ToLower(a.Name)
			names = append(names, name, name[strings.LastIndexByte(name, ' ')+1:])
		}
	}
	if near := schema.Near(strings.ToLower(said), names); near != "" {
		return fmt.Errorf("%s does not understand %q: did you mean %q?", name, said, near)
	}
	return fmt.Errorf("%s does not understand %q: `tidings devices %s` lists what it does", name, said, slug)
}

func sentWords(d *mapping.Device, p *mapping.Point, o devices.Outcome) string {
	what := d.Name + ": " + p.Label
	if got, ok := p.Underway(o.Value, o.Reading); ok && o.Confirmed {
		return what + " is " + got + " (accepted by the device)"
	}
	if p.Kind != devices.KindAction {
		what += " " + p.Format(o.Value)
	}
	if o.Confirmed {
		return what + " (confirmed by the device)"
	}
	return what + " was sent (the device does not confirm)"
}

// Invite asks somebody with a role to take the house as a contact.
func (g *Gateway) Invite(jid string) (InviteResult, error) {
	if g.config.Load().XMPP.Mode == config.Local {
		return InviteResult{}, fmt.Errorf("%w: `tidings invite --role ROLE` makes a link for an account", xmppbridge.ErrContact)
	}
	on := g.xmpp.Load()
	if on == nil {
		return InviteResult{}, devices.ErrStopping
	}
	uri, asked, err := on.bridge.Invite(jid)
	return InviteResult{uri, asked}, err
}
