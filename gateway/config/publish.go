package config

import (
	"mellium.im/xmpp/jid"

	"tidings/devices/schema"
)

// readPublish reads [publish].
func readPublish(t *schema.Table, mode string) Publish {
	p := Publish{Enabled: t.Bool("enabled", false), Service: t.String("service")}
	if p.Service == "" {
		return p
	}
	j, err := jid.Parse(p.Service)
	switch {
	case mode == Local:
		t.Errorf("service", `service: the server inside reaches no other: leave it out, and with mode = "local" the gateway answers for its readings itself`)
	case err != nil || j.Domain().String() != j.String():
		t.Errorf("service", "service: %q is not the address of a service: write it as in \"pubsub.example.org\"", p.Service)
	case !p.Enabled:
		t.Errorf("service", "service: nothing is published without enabled = true")
	default:
		p.Service = j.String()
	}
	return p
}
