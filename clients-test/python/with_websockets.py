"""A WebSocket client in Python: messages of both kinds, a large one, a ping, and a close, each of which comes back."""

import asyncio
import sys

from websockets.asyncio.client import connect


async def main(url: str) -> None:
    async with connect(url, max_size=4 * 2**20) as socket:
        for message in ("κόσμε", bytes([1, 2, 3]) * 2**20, ["in ", "two ", "fragments"]):
            await socket.send(message)
            expected = message if isinstance(message, (str, bytes)) else "".join(message)
            assert await socket.recv() == expected
        await (await socket.ping("are you there"))
    assert socket.close_code == 1000
    print("ok")


asyncio.run(main(sys.argv[1]))
