package stream

import "strings"

const nsStreamErrors = "urn:ietf:params:xml:ns:xmpp-streams"

// Conditions of a stream error, RFC 6120 §4.9.3. Conditions that stanza errors
// have as well stand there.
const (
	BadFormat              = "bad-format"
	BadNamespacePrefix     = "bad-namespace-prefix"
	ConnectionTimeout      = "connection-timeout"
	HostGone               = "host-gone"
	HostUnknown            = "host-unknown"
	ImproperAddressing     = "improper-addressing"
	InvalidFrom            = "invalid-from"
	InvalidNamespace       = "invalid-namespace"
	InvalidXML             = "invalid-xml"
	NotWellFormed          = "not-well-formed"
	RemoteConnectionFailed = "remote-connection-failed"
	Reset                  = "reset"
	RestrictedXML          = "restricted-xml"
	SeeOtherHost           = "see-other-host"
	SystemShutdown         = "system-shutdown"
	UnsupportedEncoding    = "unsupported-encoding"
	UnsupportedFeature     = "unsupported-feature"
	UnsupportedStanzaType  = "unsupported-stanza-type"
	UnsupportedVersion     = "unsupported-version"
)

// Error is a stream error: one that the peer sent (Remote), or one that the
// peer's bytes deserve and that is sent to it. It ends the stream. Match it with
// errors.As.
type Error struct {
	Condition string   // one of the conditions of RFC 6120 §4.9.3
	Text      string   // for people, optional
	Host      string   // where to go, of see-other-host
	Remote    bool     // the peer sent it
	App       *Element // application-specific condition, optional
}

func fault(condition, text string) *Error { return &Error{Condition: condition, Text: text} }

// Error describes the error, saying who complained.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("stream: ")
	if e.Remote {
		b.WriteString("peer sent ")
	}
	b.WriteString(e.Condition)
	if e.Host != "" {
		b.WriteString(" ")
		b.WriteString(e.Host)
	}
	if e.Text != "" {
		b.WriteString(": ")
		b.WriteString(e.Text)
	}
	return b.String()
}

// Element returns the error as <stream:error/>.
func (e *Error) Element() *Element {
	cond := e.Condition
	if cond == "" {
		cond = UndefinedCondition
	}
	el := New(NSStream, "error").Add(New(nsStreamErrors, cond).AddText(e.Host))
	if e.Text != "" {
		el.Add(New(nsStreamErrors, "text").AddText(e.Text))
	}
	return el.Add(e.App)
}

// AppendXML appends the error as <stream:error/>.
func (e *Error) AppendXML(dst []byte) []byte { return e.Element().AppendXML(dst) }

// ParseStreamError returns what a <stream:error/> says, and nil when el is something else.
func ParseStreamError(el *Element) *Error {
	if !el.Is(NSStream, "error") {
		return nil
	}
	e := &Error{Condition: UndefinedCondition, Remote: true}
	for c := range el.Children() {
		switch {
		case c.Space != nsStreamErrors:
			e.App = c
		case c.Name == "text":
			e.Text = c.Content()
		default:
			e.Condition = c.Name
			if c.Name == SeeOtherHost {
				e.Host = c.Content()
			}
		}
	}
	return e
}
