// Package packaging holds what puts tidings on a machine: the systemd unit and the sysusers and udev files it needs.
// README.md beside it says how they are installed by hand.
//
// There is no code in it but its tests, which need systemd's own tools and so the build tag servers: the unit is
// verified and its exposure measured, the groups are made in an empty root, the rules are read.
//
//	go test -tags servers ./packaging
//
// Nothing here starts a goroutine.
package packaging
