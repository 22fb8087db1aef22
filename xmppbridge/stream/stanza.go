package stream

const nsStanzaErrors = "urn:ietf:params:xml:ns:xmpp-stanzas"

// Conditions of a stanza error, RFC 6120 §8.3.3.
const (
	BadRequest            = "bad-request"
	Conflict              = "conflict"
	FeatureNotImplemented = "feature-not-implemented"
	Forbidden             = "forbidden"
	Gone                  = "gone"
	InternalServerError   = "internal-server-error"
	ItemNotFound          = "item-not-found"
	JIDMalformed          = "jid-malformed"
	NotAcceptable         = "not-acceptable"
	NotAllowed            = "not-allowed"
	NotAuthorized         = "not-authorized"
	PolicyViolation       = "policy-violation"
	RecipientUnavailable  = "recipient-unavailable"
	Redirect              = "redirect"
	RegistrationRequired  = "registration-required"
	RemoteServerNotFound  = "remote-server-not-found"
	RemoteServerTimeout   = "remote-server-timeout"
	ResourceConstraint    = "resource-constraint"
	ServiceUnavailable    = "service-unavailable"
	SubscriptionRequired  = "subscription-required"
	UndefinedCondition    = "undefined-condition"
	UnexpectedRequest     = "unexpected-request"
)

// Types of a stanza error, RFC 6120 §8.3.2: what the sender may do about it.
const (
	TypeAuth     = "auth"     // retry with credentials
	TypeCancel   = "cancel"   // do not retry
	TypeContinue = "continue" // only a warning
	TypeModify   = "modify"   // retry with other data
	TypeWait     = "wait"     // retry later
)

// errorType gives each condition the type RFC 6120 §8.3.3 associates with it.
// Not listed is cancel.
var errorType = map[string]string{
	BadRequest:           TypeModify,
	Forbidden:            TypeAuth,
	JIDMalformed:         TypeModify,
	NotAcceptable:        TypeModify,
	NotAuthorized:        TypeAuth,
	PolicyViolation:      TypeModify,
	RecipientUnavailable: TypeWait,
	Redirect:             TypeModify,
	RegistrationRequired: TypeAuth,
	RemoteServerTimeout:  TypeWait,
	ResourceConstraint:   TypeWait,
	SubscriptionRequired: TypeAuth,
	UnexpectedRequest:    TypeWait,
}

// StanzaError is the <error/> of a stanza (RFC 6120 §8.3). It does not end the
// stream. Match it with errors.As.
type StanzaError struct {
	Type      string     // TypeAuth, TypeCancel …; empty is the condition's own
	Condition string     // one of the conditions of RFC 6120 §8.3.3
	Text      string     // for people, optional
	By        string     // who says so, where it is not the sender
	URI       string     // the new address, of gone and redirect
	App       []*Element // application-specific conditions
}

// NewStanzaError returns an error with the type its condition usually has.
func NewStanzaError(condition, text string, app ...*Element) *StanzaError {
	return &StanzaError{Type: typeOf(condition), Condition: condition, Text: text, App: app}
}

func typeOf(condition string) string {
	if t, ok := errorType[condition]; ok {
		return t
	}
	return TypeCancel
}

// Error returns the condition and the text.
func (e *StanzaError) Error() string {
	s := e.Condition
	if e.By != "" {
		s = e.By + ": " + s
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// Element returns the error as <error/>.
func (e *StanzaError) Element() *Element {
	cond, typ := e.Condition, e.Type
	if cond == "" {
		cond = UndefinedCondition
	}
	if typ == "" {
		typ = typeOf(cond)
	}
	el := New(NS, "error", "type", typ, "by", e.By).
		Add(New(nsStanzaErrors, cond).AddText(e.URI))
	if e.Text != "" {
		el.Add(New(nsStanzaErrors, "text").AddText(e.Text))
	}
	return el.Add(e.App...)
}

// ParseError returns the error of a stanza of type error, and nil for any other
// stanza. An <error/> that is missing or says nothing reads as
// undefined-condition.
func ParseError(st *Element) *StanzaError {
	if st.Attr("type") != "error" {
		return nil
	}
	e := &StanzaError{Condition: UndefinedCondition}
	el := st.Child(NS, "error")
	for c := range el.Children() {
		switch {
		case c.Space != nsStanzaErrors:
			e.App = append(e.App, c)
		case c.Name == "text":
			e.Text = c.Content()
		default:
			e.Condition = c.Name
			e.URI = c.Content()
		}
	}
	e.By = el.Attr("by")
	if e.Type = el.Attr("type"); e.Type == "" {
		e.Type = typeOf(e.Condition)
	}
	return e
}

// IsStanza reports whether e is a message, a presence or an IQ.
func IsStanza(e *Element) bool {
	return e.Is(NS, "message") || e.Is(NS, "presence") || e.Is(NS, "iq")
}

// IsRequest reports whether e is an IQ that must be answered: a get or a set.
func IsRequest(e *Element) bool {
	if !e.Is(NS, "iq") {
		return false
	}
	t := e.Attr("type")
	return t == "get" || t == "set"
}

// IsReply reports whether e is an IQ that answers one: a result or an error.
func IsReply(e *Element) bool { return IsResult(e) || e.Is(NS, "iq") && e.Attr("type") == "error" }

// IsResult reports whether e is an IQ of type result.
func IsResult(e *Element) bool { return e.Is(NS, "iq") && e.Attr("type") == "result" }

// Result returns the answer to an IQ get or set: from and to swapped, the same
// id. It is nil for anything else: nothing answers an answer.
func Result(iq *Element, payload ...*Element) *Element {
	if !IsRequest(iq) {
		return nil
	}
	return reply(iq, "result").Add(payload...)
}

// ErrorReply returns st's refusal, from and to swapped, the same id; a nil e
// reads as undefined-condition. It is nil where RFC 6120 §8.3.1 forbids one: for
// errors, for results, and for what is no stanza.
func ErrorReply(st *Element, e *StanzaError) *Element {
	if !IsStanza(st) || IsReply(st) || st.Attr("type") == "error" {
		return nil
	}
	if e == nil {
		e = NewStanzaError(UndefinedCondition, "")
	}
	return reply(st, "error").Add(e.Element())
}

func reply(st *Element, typ string) *Element {
	return New(NS, st.Name,
		"type", typ, "to", st.Attr("from"), "from", st.Attr("to"), "id", st.Attr("id"))
}
