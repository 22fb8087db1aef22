// Package modbus is the master's side of Modbus over a serial line (RTU), over whatever carries one, and over TCP: the
// frames of functions 1 to 6, 15 and 16, one request at a time, and the values in registers.
//
//	m := modbus.NewMaster(port, modbus.Line{Baud: 9600, Timeout: 500 * time.Millisecond})
//	answer, err := m.Exchange(ctx, modbus.Read(7, modbus.Input, 12, 2)) // slave 7, two input registers from address 12
//	if err != nil {
//		return err // an *Exception is what the slave said; ErrNoAnswer, ErrDamaged and ErrBusyLine what the line did
//	}
//	watts := modbus.Format{Type: modbus.Float32}.Number(answer.Data)
//
// The sources are the MODBUS Application Protocol Specification V1.1b3, MODBUS over Serial Line V1.02 and MODBUS
// Messaging on TCP/IP V1.0b of modbus.org. Addresses are the protocol's, from 0: register 30013 of a manual is input 12.
//
// An RTU frame does not say which request it answers. A [Master] therefore looks for a frame with the slave, function,
// length and checksum it expects within whatever comes, so noise before it does no harm; and it remembers what was asked and
// not answered: a request whose answer could be mistaken for a late one waits until that has come or cannot come any
// more. It does not try again: whoever asks decides whether something else goes first.
//
// There are libraries. grid-x/modbus and goburrow/modbus open their port themselves and have one slave a handler;
// simonvetter/modbus takes no port of ours either. None of them finds a frame behind noise, and all take a late answer of
// the same length for the right one. What is left of them is a table of function codes and a checksum.
//
// A Master belongs to one goroutine; only [Master.Wake] may be called from others. Nothing here starts a goroutine, and
// what is kept is bounded by one frame.
package modbus
