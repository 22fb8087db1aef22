// Package docs is what a person reads about the gateway: architecture.md for who works on it, the others for who uses
// it. configuration.md is made from the code (go generate ./gateway/config).
//
// The package has tests only, which hold the pages to what they say: every configuration in them loads, links lead
// somewhere, the sentences of the troubleshooting table stand in the code, and packages import only whom
// architecture.md lets them.
//
//	go test ./docs
package docs
