package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"tidings/gateway"
)

// maxAnswer bounds what is read of an answer: ten thousand devices take a few megabytes.
const maxAnswer = 64 << 20

// A Client is the other end of one control socket.
type Client struct {
	path string
	http *http.Client
}

// A RefusedError is the gateway's own answer that it did not do what was asked; other errors are of reaching it.
type RefusedError struct{ Text string }

func (e *RefusedError) Error() string { return e.Text }

// New makes a client of the socket at path; nothing is opened until it is used.
func New(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks how the gateway is.
func (c *Client) Status(ctx context.Context) (s gateway.Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Devices asks how every device is.
func (c *Client) Devices(ctx context.Context) (list []gateway.DeviceStatus, err error) {
	return list, c.call(ctx, http.MethodGet, "/devices", nil, &list)
}

// Send has a device do what words say.
func (c *Client) Send(ctx context.Context, r gateway.SendRequest) (out gateway.SendResult, err error) {
	return out, c.call(ctx, http.MethodPost, "/send", r, &out)
}

// Alerts asks which alerts are active.
func (c *Client) Alerts(ctx context.Context) (list []gateway.AlertStatus, err error) {
	return list, c.call(ctx, http.MethodGet, "/alerts", nil, &list)
}

// Acknowledge says that alerts were seen, and returns those that nobody had acknowledged.
func (c *Client) Acknowledge(ctx context.Context, r gateway.AlertRequest) (list []gateway.AlertStatus, err error) {
	return list, c.call(ctx, http.MethodPost, "/alerts/ack", r, &list)
}

// Silence keeps alerts from everyone for a while, or ends that.
func (c *Client) Silence(ctx context.Context, r gateway.SilenceRequest) error {
	return c.call(ctx, http.MethodPost, "/alerts/silence", r, nil)
}

// Reload has the gateway read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/reload", struct{}{}, nil)
}

// Invite asks somebody to take the house as a contact.
func (c *Client) Invite(ctx context.Context, jid string) (out gateway.InviteResult, err error) {
	return out, c.call(ctx, http.MethodPost, "/invite", gateway.InviteRequest{JID: jid}, &out)
}

// AddAccount makes an account of the server inside.
func (c *Client) AddAccount(ctx context.Context, r gateway.AccountRequest) error {
	return c.call(ctx, http.MethodPost, "/accounts", r, nil)
}

// InviteAccount makes an invitation to the server inside.
func (c *Client) InviteAccount(ctx context.Context, r gateway.InvitationRequest) (out gateway.InvitationStatus, err error) {
	return out, c.call(ctx, http.MethodPost, "/invitations", r, &out)
}

// Invitations asks for those that nobody has used yet.
func (c *Client) Invitations(ctx context.Context) (list []gateway.InvitationStatus, err error) {
	return list, c.call(ctx, http.MethodGet, "/invitations", nil, &list)
}

// WithdrawInvitation takes an invitation back.
func (c *Client) WithdrawInvitation(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/invitations/withdraw", gateway.InvitationStatus{ID: id}, nil)
}

// Accounts asks for the accounts of the server inside.
func (c *Client) Accounts(ctx context.Context) (list []gateway.AccountStatus, err error) {
	return list, c.call(ctx, http.MethodGet, "/accounts", nil, &list)
}

// RemoveAccount takes an account away.
func (c *Client) RemoveAccount(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, "/accounts/remove", gateway.AccountRequest{Name: name}, nil)
}

// SetRole gives an account another role.
func (c *Client) SetRole(ctx context.Context, name, role string) error {
	return c.call(ctx, http.MethodPost, "/accounts/role", gateway.AccountRequest{Name: name, Role: role}, nil)
}

// SetPassword gives an account another password.
func (c *Client) SetPassword(ctx context.Context, name, password string) error {
	return c.call(ctx, http.MethodPost, "/accounts/password", gateway.AccountRequest{Name: name, Password: password}, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("control: %w", err)
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://gateway"+path, body)
	if err != nil {
		return fmt.Errorf("control: %w", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.explain(err)
	}
	defer response.Body.Close()
	answer := json.NewDecoder(io.LimitReader(response.Body, maxAnswer))
	if response.StatusCode != http.StatusOK {
		var failed gateway.ControlError
		if err := answer.Decode(&failed); err != nil || failed.Error == "" {
			return fmt.Errorf("control socket %s: %s", c.path, response.Status)
		}
		return &RefusedError{Text: failed.Error}
	}
	if out == nil {
		return nil
	}
	if err := answer.Decode(out); err != nil {
		return fmt.Errorf("control socket %s: %w", c.path, err)
	}
	return nil
}

// explain says what a person can do about a socket that does not answer.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("control socket %s: interrupted before there was an answer: %w", c.path, context.Canceled)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no gateway answers at %s: is it running, and is that its control socket?", c.path)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("control socket %s: permission denied: run this as the user of the gateway, or as one of its group", c.path)
	}
	return fmt.Errorf("control socket %s: %w", c.path, err)
}
