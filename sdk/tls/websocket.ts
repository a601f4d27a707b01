/** A WebSocket on a connection whose key is proven. */
import { WebSocket as UndiciWebSocket } from 'undici'
import { connectionError } from '../fetch/errors.ts'
import { pinnedConnections } from './pinned.ts'
import type { Prove } from './pinned.ts'

export interface OpenOptions {
  readonly prove: Prove
  readonly protocols: string | string[]
  readonly headers: Record<string, string>
}

/** @returns it, open */
export async function openWebSocket (
  url: URL, { prove, protocols, headers }: OpenOptions
): Promise<globalThis.WebSocket> {
  let failure: unknown
  const pinned = pinnedConnections(url, (fetch, socket) => prove(fetch, socket).catch((error: unknown) => {
    failure = error
    throw error
  }))
  // The key first: what a WebSocket fails with, it does not tell.
  await pinned.verify(false)
  const address = new URL(url)
  address.protocol = 'wss:'
  const socket = new UndiciWebSocket(address, { protocols, headers, dispatcher: pinned.dispatcher })
  socket.addEventListener('close', () => { pinned.close().catch(() => undefined) })
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve(), { once: true })
    socket.addEventListener(
      'error', ({ error }) => reject(failure ?? connectionError(url.origin, error)), { once: true }
    )
  })
  return socket as unknown as globalThis.WebSocket
}
