package xmppbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tidings/xmppbridge/stream"
)

const (
	// noneFound is how long it is remembered that there is no service.
	noneFound = time.Minute
	// maxServerItems is how many services of a server are looked at, askedAtOnce of them side by side.
	maxServerItems = 50
	askedAtOnce    = 8
	// maxParents is how many parent domains of a component are asked.
	maxParents = 3
)

// service finds the service, or tells of the one that was.
func (u *ServerUpload) service(ctx context.Context) (*uploadService, error) {
	u.mu.Lock()
	found := u.found
	u.mu.Unlock()
	if found == nil || found.jid == "" && time.Now().After(found.until) {
		var err error
		if found, err = u.find(ctx); err != nil {
			return nil, err
		}
		u.mu.Lock()
		u.found = found
		u.mu.Unlock()
	}
	if found.jid == "" {
		return nil, ErrNoUpload
	}
	return found, nil
}

// find asks the server what it has (XEP-0363 §3). An error says that it could not be asked.
func (u *ServerUpload) find(ctx context.Context) (*uploadService, error) {
	if u.o.Service != "" {
		found, err := u.look(ctx, u.o.Service)
		if err != nil || found == nil {
			return nil, fmt.Errorf("upload: %s, which [xmpp] upload names, is no upload service: %w", u.o.Service, reasonOf(err))
		}
		return found, nil
	}
	for _, domain := range u.domains() {
		items, err := u.ask(ctx, domain, stream.New(nsDiscoItems, "query"))
		if refusal := (*stream.StanzaError)(nil); err != nil && !errors.As(err, &refusal) {
			return nil, fmt.Errorf("upload: %s: %w", domain, err)
		}
		services := []string{domain} // it may be the service itself
		for item := range items.Child(nsDiscoItems, "query").Children() {
			if j := item.Attr("jid"); j != "" && item.Attr("node") == "" && len(services) < maxServerItems && !slices.Contains(services, j) {
				services = append(services, j)
			}
		}
		if found := u.first(ctx, services); found != nil {
			return found, nil
		}
	}
	return &uploadService{until: time.Now().Add(noneFound)}, nil
}

// reasonOf says why something is no service where nothing went wrong.
func reasonOf(err error) error {
	if err == nil {
		return errors.New("it does not announce " + nsUpload)
	}
	return err
}

// domains are where services are looked for: the account's server, or the parents of a component. A parent of a single label is
// no server's, unless it is all there is.
func (u *ServerUpload) domains() []string {
	if !u.o.Component {
		return []string{u.o.Domain}
	}
	var out []string
	for domain := u.o.Domain; len(out) < maxParents; {
		_, parent, ok := strings.Cut(domain, ".")
		if !ok || len(out) > 0 && !strings.Contains(parent, ".") {
			break
		}
		out, domain = append(out, parent), parent
	}
	return out
}

// first is the first of some entities that is a service. They are asked side by side: some may not answer.
func (u *ServerUpload) first(ctx context.Context, entities []string) *uploadService {
	found := make([]*uploadService, len(entities))
	var wg sync.WaitGroup
	turn := make(chan struct{}, askedAtOnce)
	for i, entity := range entities {
		turn <- struct{}{}
		wg.Go(func() {
			found[i], _ = u.look(ctx, entity) // who does not answer is none
			<-turn
		})
	}
	wg.Wait()
	for _, f := range found {
		if f != nil {
			return f
		}
	}
	return nil
}

// look asks an entity whether it is a service; nil: it is none.
func (u *ServerUpload) look(ctx context.Context, entity string) (*uploadService, error) {
	answer, err := u.ask(ctx, entity, stream.New(nsDiscoInfo, "query"))
	if err != nil {
		return nil, err
	}
	found := (*uploadService)(nil)
	query := answer.Child(nsDiscoInfo, "query")
	for x := range query.Children() {
		if x.Is(nsDiscoInfo, "feature") && x.Attr("var") == nsUpload {
			found = &uploadService{jid: entity}
		}
	}
	if found == nil {
		return nil, nil
	}
	for x := range query.Children() {
		if fields := fieldsOf(x); slices.Equal(fields["FORM_TYPE"], []string{nsUpload}) && len(fields["max-file-size"]) == 1 {
			if n, err := strconv.ParseInt(strings.TrimSpace(fields["max-file-size"][0]), 10, 64); err == nil && n > 0 {
				found.limit = n
			}
		}
	}
	return found, nil
}

// fieldsOf reads a form's values, whatever its type.
func fieldsOf(x *stream.Element) map[string][]string {
	out := map[string][]string{}
	if !x.Is(nsForm, "x") {
		return out
	}
	for f := range x.Children() {
		for v := range f.Children() {
			if v.Is(nsForm, "value") {
				out[f.Attr("var")] = append(out[f.Attr("var")], v.Content())
			}
		}
	}
	return out
}
