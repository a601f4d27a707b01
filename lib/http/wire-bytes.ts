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
  const counted = new WeakMap<Socket, WireBytes>()
  return socket => {
    const { bytesRead: received, bytesWritten: sent } = socket
    const before = counted.get(socket)
    counted.set(socket, { received, sent })
    return before === undefined
      ? { received, sent }
      : { received: received - before.received, sent: sent - before.sent }
  }
}
