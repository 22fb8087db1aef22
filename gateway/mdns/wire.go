package mdns

import (
	"context"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
)

// socket is the real wire: UDP over IPv4, with what says which interface a message came by.
type socket struct {
	conn net.PacketConn
	p    *ipv4.PacketConn
}

// open listens beside whoever else does on this machine.
func open(ctx context.Context) (wire, error) {
	// A multicast address has the socket share its port.
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", group.String())
	if err != nil {
		return nil, err
	}
	p := ipv4.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv4.FlagInterface, true); err != nil {
		conn.Close()
		return nil, err
	}
	// Programs of this machine hear it, too; and nobody beyond the network answers to it (RFC 6762 §11).
	_ = p.SetMulticastLoopback(true)
	_ = p.SetMulticastTTL(255)
	_ = p.SetTTL(255)
	return &socket{conn, p}, nil
}

func (s *socket) join(index int) error {
	ifi, err := net.InterfaceByIndex(index)
	if err != nil {
		return err
	}
	return s.p.JoinGroup(ifi, net.UDPAddrFromAddrPort(group))
}

func (s *socket) read(b []byte) (n, index int, from netip.AddrPort, err error) {
	n, cm, addr, err := s.p.ReadFrom(b)
	if err != nil {
		return 0, 0, netip.AddrPort{}, err
	}
	if cm != nil {
		index = cm.IfIndex
	}
	if u, ok := addr.(*net.UDPAddr); ok {
		from = u.AddrPort()
	}
	return n, index, from, nil
}

func (s *socket) write(b []byte, index int, to netip.AddrPort) error {
	_, err := s.p.WriteTo(b, &ipv4.ControlMessage{IfIndex: index}, net.UDPAddrFromAddrPort(to))
	return err
}

func (s *socket) Close() error { return s.conn.Close() }

// networks are those the machine is in: not itself, and not one with a single other end.
func networks() ([]network, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	const wanted = net.FlagUp | net.FlagMulticast
	var out []network
	for _, ifi := range interfaces {
		if ifi.Flags&wanted != wanted || ifi.Flags&(net.FlagLoopback|net.FlagPointToPoint) != 0 {
			continue
		}
		addrs, err := ifi.Addrs()
		if err != nil {
			continue // gone meanwhile
		}
		n := network{index: ifi.Index}
		for _, a := range addrs {
			ip, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			addr, _ := netip.AddrFromSlice(ip.IP)
			if addr = addr.Unmap(); !addr.IsGlobalUnicast() {
				continue
			}
			ones, _ := ip.Mask.Size()
			n.own = append(n.own, netip.PrefixFrom(addr, ones))
		}
		if len(n.own) > 0 {
			out = append(out, n)
		}
	}
	return out, nil
}
