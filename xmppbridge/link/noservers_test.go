//go:build !servers

package link

// startServers has none to start: tests against real ones need the build tag "servers".
func startServers() (stop func() error, err error) {
	return func() error { return nil }, nil
}
