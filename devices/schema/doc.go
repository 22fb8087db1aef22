// Package schema is how a part of the gateway declares the configuration keys it understands and reads them.
//
// A part declares its keys once, as data: name, kind, default and a line of help. From the same declaration the
// file is checked (`tidings check`), mistakes get the nearest key as a suggestion, and the reference pages are
// made. [Parse] turns a file into [Table]s: the keys of a TOML table together with the file and line each one stands
// on, so that a mistake found while a driver is built points at its place as exactly as a misspelt key does.
//
// A table of a device holds the keys of two sides, the driver's and the mapping's. Each side declares and takes
// its own; what nobody declares is unknown. [Table.Check] does that walk for a whole file and reports every
// mistake at once into [Problems]; nothing here stops at the first.
//
//	keys := []schema.Key{
//		{Name: "port", Kind: schema.String, Required: true, Help: "the serial device"},
//		{Name: "baud", Kind: schema.Int, Default: "9600", Help: "bits a second"},
//	}
//	table, err := schema.Parse("attic.toml", data)
//	if err != nil {
//		return err
//	}
//	table.Check(schema.Spec{Keys: keys})
//	if err := table.Problems().Err(); err != nil {
//		return err // attic.toml:3: unknown key "prot": did you mean "port"?
//	}
//	port, baud := table.String("port"), table.Int("baud", 9600)
//
// Nothing here starts a goroutine; a Table may be read concurrently, Problems may not be written concurrently.
package schema
