// Package scenario holds the conversations the gateway has with the outside, written once and held everywhere: as a
// component of Prosody and of ejabberd, with an account on Prosody, and with the server inside.
//
// It has tests only, behind the build tag "servers": they start the servers and python3-slixmpp, a client no one here
// wrote, and fail where those are missing. The gateway is the real one, made by gateway.New from a gateway.toml; behind its
// drivers stand simulated firmware: a greenhouse on a pseudo-terminal, a contact and a bell on a GPIO chip, a lamp that
// comes to the MQTT broker inside.
//
//	go test -tags servers ./gateway/scenario
//
// A ground (ground_test.go) is a place to hold a scenario on: where people log in and what the gateway's addresses are there.
// A house (house_test.go) is a running gateway with its devices. Scenarios wait for what they expect and never for time to
// pass, but for the few that see that something does not come.
package scenario
