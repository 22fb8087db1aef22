"""Modbus slaves by pymodbus: slaves.py serial PORT, rtu-over-tcp or tcp. Prints where it is once it answers."""

import asyncio
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server.async_io import StartAsyncSerialServer, StartAsyncTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer


def slave(number):
    """Coils 0 to 31, discrete inputs, holding and input registers 0 to 199: each register has its address and the slave's number."""
    registers = [1000 * number + i for i in range(200)]
    return ModbusSlaveContext(
        co=ModbusSequentialDataBlock(0, [0] * 32),
        di=ModbusSequentialDataBlock(0, [i % 2 for i in range(32)]),
        hr=ModbusSequentialDataBlock(0, list(registers)),
        ir=ModbusSequentialDataBlock(0, list(registers)),
        zero_mode=True,
    )


async def main(kind, port):
    context = ModbusServerContext(slaves={n: slave(n) for n in (1, 2)}, single=False)
    if kind == "serial":
        server = await StartAsyncSerialServer(
            context, framer=ModbusRtuFramer, port=port, baudrate=9600, ignore_missing_slaves=True, defer_start=True
        )
        await server.start()
        print(port, flush=True)
        await server.serve_forever()
        return
    framer = ModbusRtuFramer if kind == "rtu-over-tcp" else ModbusSocketFramer
    server = await StartAsyncTcpServer(
        context, framer=framer, address=("127.0.0.1", 0), ignore_missing_slaves=True, defer_start=True
    )
    serving = asyncio.ensure_future(server.serve_forever())
    await server.serving
    host, number = server.server.sockets[0].getsockname()
    print(f"{host}:{number}", flush=True)
    await serving


asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""))
