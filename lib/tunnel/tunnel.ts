/**
 * Two connections made one: bytes both ways, no faster than each side reads, with half-closes. It reads no more of them
 * than it takes to end it between two frames.
 */
import type { Socket } from 'node:net'
import { closeFrame, followFrames } from './frames.ts'

export interface TunnelOptions {
  /** After so many milliseconds without a byte either way, the tunnel is ended; 0 for never. */
  readonly idleTimeout: number
  /** Milliseconds in which a side has to take something of what the other left behind; 0 for ever. */
  readonly drainTimeout: number
  readonly onIdle: () => void
}

export interface Tunnel {
  /** Sends the client a close frame as soon as no other is under way; the rest is up to client and workload. */
  end (code: number): void
  destroy (): void
}

/** RFC 6455, section 7.4.1: an endpoint goes away. */
const GOING_AWAY = 1001
/** For client and workload to close after they were idle. */
const CLOSING_TIME = 5000

export function joinSockets (
  client: Socket, workload: Socket, { idleTimeout, drainTimeout, onIdle }: TunnelOptions
): Tunnel {
  const frames = followFrames()
  let farewell: Buffer | undefined
  let isClosing = false
  let closing: NodeJS.Timeout | undefined
  const idle = idleTimeout === 0 ? undefined : setTimeout(endIdle, idleTimeout)

  function endIdle (): void {
    onIdle()
    end(GOING_AWAY)
    closing = setTimeout(destroy, CLOSING_TIME)
  }

  function end (code: number): void {
    if (farewell !== undefined || frames.areOver) return
    farewell = closeFrame(code)
    if (frames.areWhole) close()
  }

  function close (): void {
    isClosing = true
    if (client.writable) client.write(farewell as Buffer)
  }

  /** What comes behind the close frame is read, so that the workload can end, and dropped. */
  function toClient (piece: Buffer): boolean {
    if (isClosing) return true
    if (farewell === undefined) {
      frames.follow(piece)
      return client.write(piece)
    }
    const frameEnd = frames.endIn(piece)
    if (frameEnd === undefined) return client.write(piece)
    client.write(piece.subarray(0, frameEnd))
    if (frames.areOver) isClosing = true
    else close()
    return true
  }

  function destroy (): void {
    client.destroy()
    workload.destroy()
  }

  function flow (from: Socket, to: Socket, write: (piece: Buffer) => boolean): void {
    from.on('data', (piece: Buffer) => {
      idle?.refresh()
      if (!write(piece)) from.pause()
    })
    to.on('drain', () => {
      idle?.refresh()
      from.resume()
    })
    from.once('end', () => to.end())
    // A connection that breaks closes.
    from.on('error', () => undefined)
    from.once('close', () => {
      clearTimeout(idle)
      if (to.destroyed) return clearTimeout(closing)
      if (drainTimeout > 0) to.setTimeout(drainTimeout, () => to.destroy())
      to.destroySoon()
    })
  }

  for (const socket of [client, workload]) socket.setTimeout(0).setNoDelay(true)
  flow(client, workload, piece => workload.write(piece))
  flow(workload, client, toClient)
  return { end, destroy }
}
