"""A serial server by pyserial: one client at a time, telnet with RFC 2217. Arguments: the serial port. Prints its own."""
import select
import socket
import sys

import serial
import serial.rfc2217

port = serial.serial_for_url(sys.argv[1], do_not_open=True, timeout=0)
# A pseudo-terminal has no such lines.
port._update_dtr_state = lambda: None
port._update_rts_state = lambda: None
port.open()
for line in ("cts", "dsr", "ri", "cd"):
    setattr(serial.Serial, line, property(lambda self: False))

listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)


class Connection:
    """What a PortManager writes to."""

    def __init__(self, client):
        self.client = client

    def write(self, data):
        self.client.sendall(data)


while True:
    client, _ = listener.accept()
    try:
        manager = serial.rfc2217.PortManager(port, Connection(client))
        while True:
            ready, _, _ = select.select([client, port.fileno()], [], [])
            if client in ready:
                data = client.recv(1024)
                if not data:
                    break
                port.write(b"".join(manager.filter(data)))
            if port.fileno() in ready:
                client.sendall(b"".join(manager.escape(port.read(1024))))
    except OSError:
        pass
    finally:
        client.close()
