/** What moves on a connection, request by request. */
import type { Socket } from 'node:net'

export interface WireBytes {
  readonly received: number
  readonly sent: number
}

/**
 * Counts the bytes of a connection since it was last asked about it. Requests on one connection follow each other; of
 * those that are sent ahead, the first has it all.
 */
export function createWireCounter (): (socket: Socket) => WireBytes {
  const counted = new WeakMap<Socket, { received: number, sent: number }>()
  return socket => {
    const { bytesRead, bytesWritten } = socket
    let before = counted.get(socket)
    if (before === undefined) counted.set(socket, before = { received: 0, sent: 0 })
    const moved = { received: bytesRead - before.received, sent: bytesWritten - before.sent }
    before.received = bytesRead
    before.sent = bytesWritten
    return moved
  }
}
