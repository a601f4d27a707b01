/** Two connections that become one: bytes both ways, no faster than they are taken, and each way ends by itself. */
import type { Socket } from 'node:net'

/** For what has arrived to be taken, after the other side has closed. */
const DRAIN_MS = 30_000
/** Between probes of connections on which nothing passes. */
const KEEP_ALIVE_MS = 60_000

/** `complete`: both sides ended. `aborted`: the client's connection broke. `incomplete`: the other one did. */
export type TunnelOutcome = 'complete' | 'aborted' | 'incomplete'

/** Resolves once both connections are closed. */
export async function join (client: Socket, remote: Socket): Promise<TunnelOutcome> {
  let outcome: TunnelOutcome = 'complete'
  const closed = [closeOf(client), closeOf(remote)]
  for (const [socket, other, broken] of [[client, remote, 'aborted'], [remote, client, 'incomplete']] as const) {
    // TLS sockets would end with what they read.
    socket.allowHalfOpen = true
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    // Node closes what has an error; there is nothing else to do about it.
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      if (socket.readableEnded && socket.writableFinished) {
        // What it sent is on its way; the other side does not have to take it for ever.
        other.setTimeout(DRAIN_MS, () => other.destroy())
        return
      }
      if (outcome === 'complete') outcome = broken
      other.destroy()
    })
    socket.pipe(other)
    if (socket.destroyed) other.destroy()
  }
  await Promise.all(closed)
  return outcome
}

function closeOf (socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
}
