package mqtt

import "tidings/drivers/mqtt/discovery"

// AddConvention adds a convention for the tests.
func AddConvention(name string, make func() discovery.Convention) {
	conventions = append(conventions, conventionType{name, func(config) discovery.Convention { return make() }})
}
