// Package kerneltest holds the gpio driver and the built gateway against the kernel's own GPIO chip, gpio-sim, in a small
// virtual machine: what the other tests only have a stand-in for. It is behind the build tag kernel, because it needs a kernel of
// its own; `make test-kernel` builds that and runs it. README.md says what it takes.
package kerneltest
