package xmppbridge

import (
	"context"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/stream"
)

// An account has to be the gateway's own: it would answer for a person who uses it as well, and their client for it. The check of a
// configuration refuses one that is a person's (link.Inspect); here it is said when it turns out so later.

const (
	// maxSharers bounds how many others are named, once each.
	maxSharers = 10
	// checkResource begins the resource that such a check has.
	checkResource = "tidings-check-"
)

// sharers are those who are logged in to the account of client mode beside the gateway.
type sharers struct {
	b    *Bridge
	kick chan struct{} // the hub came up

	mu    sync.Mutex
	named map[string]bool
}

func newSharers(b *Bridge) *sharers {
	return &sharers{b: b, kick: make(chan struct{}, 1), named: map[string]bool{}}
}

// run asks for the account's vCard when the hub comes up: a gateway has no name in one.
func (s *sharers) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
		hub, full := s.b.addresses().Hub()
		asking, cancel := context.WithTimeout(ctx, 20*time.Second)
		answer, err := s.b.o.Network.Request(asking, stream.New(stream.NS, "iq", "type", "get", "from", full, "to", hub).
			Add(stream.New(nsVCard, "vCard")))
		cancel()
		if name := answer.Child(nsVCard, "vCard").ChildText(nsVCard, "FN"); err == nil && name != "" {
			s.warn("", "the account has a vCard, as a person's has: use one of the gateway's own")
		}
	}
}

// heard looks whether a presence is that of somebody else on the account.
func (s *sharers) heard(from string) {
	hub, _ := s.b.addresses().Hub()
	bare, resource, _ := strings.Cut(from, "/")
	if s.b.o.Audience != Broadcast || bare != hub || strings.HasPrefix(resource, checkResource) {
		return
	}
	if _, ours := s.b.addresses().Resolve(from); !ours {
		s.warn(resource, "somebody else is logged in to the account: use one of the gateway's own")
	}
}

func (s *sharers) warn(resource, text string) {
	s.mu.Lock()
	said := s.named[resource] || len(s.named) >= maxSharers
	if !said {
		s.named[strings.Clone(resource)] = true
	}
	s.mu.Unlock()
	if !said {
		hub, _ := s.b.addresses().Hub()
		s.b.log.Warn(text, "jid", strings.TrimSuffix(hub+"/"+resource, "/"))
	}
}
