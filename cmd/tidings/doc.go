// Command tidings is the gateway, and what talks to one that runs.
//
//	tidings run --config gateway.toml       the gateway, until Ctrl-C or SIGTERM; SIGHUP reloads
//	tidings check gateway.toml              every mistake of a configuration, touching nothing
//	tidings demo [--tour]                   a whole simulated house to log in to, with nothing installed
//	tidings status                          how a running gateway is
//	tidings devices [DEVICE]                its devices, or all of one
//	tidings send DEVICE WORDS…              have a device do something
//	tidings account add NAME --role ROLE    an account of the server inside
//	tidings reload                          the configuration, read again
//	tidings broker adduser NAME             a user of the MQTT broker inside
//
// There is a file a subcommand. The exit status is 0, or 1 with one sentence on standard error; `run` ends with 78
// (EX_CONFIG of sysexits) when the configuration has mistakes, so that a supervisor does not try again what only a
// person can mend.
//
// main alone handles signals: the first ends whatever runs through its context, a second one ends the process at once.
// Each subcommand waits for the goroutines it starts.
package main
