// Package xmpptest starts real XMPP servers and a real client for tests: Prosody, ejabberd and a slixmpp client
// driven step by step. Everything but the table of what is wrong ([BadInputs]) needs the build tag "servers", so that
// plain `go test ./...` needs nothing installed; with the tag, a missing server is a failure, never a skip.
//
// Each server listens on free ports of 127.0.0.1 (those that [Federate] starts also on an address for each other), keeps
// its files in a directory of its own, and presents a certificate of the process's own test authority ([TestCA]), which
// clients are given to verify. Starting one takes about half a second for Prosody and some three seconds for ejabberd, so
// a package whose tests can share a server starts it from TestMain with [NewProsody] or [NewEjabberd] and stops it there; a
// test that needs one to itself (to restart it, say) calls [StartProsody], which stops it with the test and prints its log
// when the test failed.
//
//	func TestLogin(t *testing.T) {
//		server := xmpptest.StartProsody(t, xmpptest.Options{})
//		alice := xmpptest.StartClient(t)
//		alice.Login(server.Login("alice"))
//		alice.Subscribe("lamp@" + server.Components[0])
//		alice.ExpectPresence(xmpptest.Expect{From: "lamp@" + server.Components[0], Type: "available"})
//	}
//
// Every process started here has a goroutine that waits for it; Stop ends the process (by its own id) and returns
// when that goroutine has.
package xmpptest
