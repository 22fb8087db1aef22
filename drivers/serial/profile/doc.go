// Package profile has the tables of devices that many people have: a TOML file each, from the registers their makers have
// published, named in the file.
//
//	model    = "Eastron SDM120-Modbus"
//	source   = "Eastron, SDM120-Modbus user manual, …"  # where it can be looked up
//	protocol = "modbus"                                 # of the driver's table
//	line     = "2400 8N1"                               # as it leaves the factory; for people
//
//	[device]                                            # keys of the device's table
//	class = "meter"
//	[points.power]                                      # and its points
//	source = "input:0x000C"
//
// [Expand] lays the profile that a device's table names under it, key by key: what stands in the configuration counts. It
// is done before any key is checked, so that whoever reads the table, the gateway and its people's side included, sees one
// table. A mistake in a profile is told with the profile's file and line.
//
// The files here are part of the program; a folder of one's own adds to them and may replace them.
package profile
