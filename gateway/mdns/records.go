package mdns

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// The lives of records, in seconds: those that hold an address and the others (RFC 6762 §10), and what a resolver gets
	// that knows nothing of multicast (§6.7).
	hostLife   = 120
	otherLife  = 4500
	legacyLife = 10

	classFlush   = dnsmessage.Class(1 << 15) // in records: others of this name and type are old
	classUnicast = dnsmessage.Class(1 << 15) // in questions: the answer may be for the asker alone

	// What is read of a query, and how many addresses of one network are told.
	maxQuestions = 32
	maxKnown     = 128
	maxAddresses = 8
	maxLabel     = 63 // bytes of one label
)

// A Service is what is told.
type Service struct {
	Instance string   // what people see: "Home 3f2a"
	Types    []string // "_xmpp-client._tcp" and the like, all at the same port
	Host     string   // the host's name before .local, in one label
	Port     uint16
	Text     []string // pairs as "domain=home.arpa"
	// Domain is a domain that ends in .local whose own records are told, too: its addresses, and the SRV records of the
	// types, which clients look up that are given nothing but an account's address. "" for none.
	Domain string
	// Only are the addresses that the service can be reached at; none: all of the machine's.
	Only []netip.Addr
}

// A record is one thing there is to tell.
type record struct {
	name   dnsmessage.Name
	kind   dnsmessage.Type
	unique bool // nobody else has records of this name and type
	life   uint32
	body   dnsmessage.ResourceBody
}

// label makes a text one label of a name.
func label(s string) string {
	s = strings.ReplaceAll(s, ".", " ")
	for len(s) > maxLabel {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// records are all there is to tell on a network where the machine has these addresses.
func (s Service) records(addrs []netip.Addr) ([]record, error) {
	var all []record
	var failed error
	name := func(text string) dnsmessage.Name {
		n, err := dnsmessage.NewName(text + ".")
		if err != nil {
			failed = fmt.Errorf("mdns: name %q: %w", text, err)
		}
		return n
	}
	host := name(label(s.Host) + ".local")
	hosts := []dnsmessage.Name{host}
	text := s.Text
	if len(text) == 0 {
		text = []string{""} // RFC 6763 §6.1
	}
	for _, t := range s.Types {
		service, instance := name(t+".local"), name(label(s.Instance)+"."+t+".local")
		srv := &dnsmessage.SRVResource{Port: s.Port, Target: host}
		all = append(all,
			record{name("_services._dns-sd._udp.local"), dnsmessage.TypePTR, false, otherLife, &dnsmessage.PTRResource{PTR: service}},
			record{service, dnsmessage.TypePTR, false, otherLife, &dnsmessage.PTRResource{PTR: instance}},
			record{instance, dnsmessage.TypeSRV, true, hostLife, srv},
			record{instance, dnsmessage.TypeTXT, true, otherLife, &dnsmessage.TXTResource{TXT: text}})
		if s.Domain != "" {
			all = append(all, record{name(t + "." + s.Domain), dnsmessage.TypeSRV, true, hostLife, srv})
		}
	}
	if s.Domain != "" {
		hosts = append(hosts, name(s.Domain))
	}
	if failed != nil {
		return nil, failed
	}
	for _, h := range hosts {
		for _, a := range addrs[:min(len(addrs), maxAddresses)] {
			if a.Is4() {
				all = append(all, record{h, dnsmessage.TypeA, true, hostLife, &dnsmessage.AResource{A: a.As4()}})
			} else {
				all = append(all, record{h, dnsmessage.TypeAAAA, true, hostLife, &dnsmessage.AAAAResource{AAAA: a.As16()}})
			}
		}
	}
	return all, nil
}

// A reply is an answer and whom it is for.
type reply struct {
	message []byte
	unicast bool // for the asker alone
}

// answer is the reply to a query, if there is one. legacy says that the asker is a plain resolver, which is known by its port.
func answer(all []record, query []byte, legacy bool) (reply, bool) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil || head.Response || head.OpCode != 0 || head.RCode != dnsmessage.RCodeSuccess {
		return reply{}, false
	}
	questions, known, ok := read(&p)
	if !ok {
		return reply{}, false
	}
	var answers []record
	unicast := true
	for _, q := range questions {
		found := false
		for _, r := range all {
			if !asks(q, r) || slices.ContainsFunc(known, func(k dnsmessage.Resource) bool { return same(k, r) }) {
				continue
			}
			found = true
			if !slices.ContainsFunc(answers, func(a record) bool { return reflect.DeepEqual(a, r) }) {
				answers = append(answers, r)
			}
		}
		if found && q.Class&classUnicast == 0 {
			unicast = false
		}
	}
	if len(answers) == 0 {
		return reply{}, false
	}
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}}
	if legacy {
		m.Header.ID, m.Questions = head.ID, questions
	}
	m.Answers = resources(answers, legacy, false)
	m.Additionals = resources(more(all, answers), legacy, false)
	message, err := m.Pack()
	return reply{message, unicast || legacy}, err == nil
}

// read reads the questions of a query, and the answers that the asker knows.
func read(p *dnsmessage.Parser) (questions []dnsmessage.Question, known []dnsmessage.Resource, ok bool) {
	for len(questions) < maxQuestions {
		q, err := p.Question()
		if err == dnsmessage.ErrSectionDone {
			break
		}
		if err != nil {
			return nil, nil, false
		}
		questions = append(questions, q)
	}
	if p.SkipAllQuestions() != nil {
		return nil, nil, false
	}
	for len(known) < maxKnown {
		k, err := p.Answer()
		if err != nil { // the end, or what we cannot read, which then is not known
			break
		}
		known = append(known, k)
	}
	return questions, known, true
}

func asks(q dnsmessage.Question, r record) bool {
	class := q.Class &^ classUnicast
	return (class == dnsmessage.ClassINET || class == dnsmessage.ClassANY) && (q.Type == r.kind || q.Type == dnsmessage.TypeALL) &&
		strings.EqualFold(q.Name.String(), r.name.String())
}

// same reports whether the asker knows a record, and for at least half of its life (RFC 6762 §7.1).
func same(k dnsmessage.Resource, r record) bool {
	return k.Header.Type == r.kind && strings.EqualFold(k.Header.Name.String(), r.name.String()) && k.Header.TTL >= r.life/2 &&
		reflect.DeepEqual(k.Body, r.body)
}

// more is what whoever gets the answers will ask for next (RFC 6763 §12).
func more(all, answers []record) []record {
	var out []record
	wanted := func(r record) bool {
		for _, a := range append(slices.Clone(answers), out...) {
			switch body := a.body.(type) {
			case *dnsmessage.PTRResource:
				if r.name == body.PTR && r.kind != dnsmessage.TypePTR {
					return true
				}
			case *dnsmessage.SRVResource:
				if r.name == body.Target {
					return true
				}
			}
		}
		return false
	}
	for range 2 { // from a type to its instance, and from there to the host
		for _, r := range all {
			if wanted(r) && !slices.ContainsFunc(append(slices.Clone(answers), out...), func(a record) bool { return reflect.DeepEqual(a, r) }) {
				out = append(out, r)
			}
		}
	}
	return out
}

// announcement tells everything; with over, that it is no longer so (RFC 6762 §8.3, §10.1).
func announcement(all []record, over bool) ([]byte, error) {
	m := dnsmessage.Message{Header: dnsmessage.Header{Response: true, Authoritative: true}, Answers: resources(all, false, over)}
	return m.Pack()
}

func resources(all []record, legacy, over bool) []dnsmessage.Resource {
	var out []dnsmessage.Resource
	for _, r := range all {
		h := dnsmessage.ResourceHeader{Name: r.name, Type: r.kind, Class: dnsmessage.ClassINET, TTL: r.life}
		switch {
		case over:
			h.TTL = 0
		case legacy:
			h.TTL = min(h.TTL, legacyLife)
		}
		if r.unique && !legacy {
			h.Class |= classFlush
		}
		out = append(out, dnsmessage.Resource{Header: h, Body: r.body})
	}
	return out
}
