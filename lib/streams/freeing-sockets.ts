/** Sockets that free what they have sent (docs/decisions/0017-buffers-freed-by-hand.md). */
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import { free, isFreedOnceSent } from './free.ts'

/** undici's connector, of such sockets. */
export function createFreeingConnector (options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (target, callback) => connect(target, (...result) => {
    const [error, socket] = result
    if (error === null) freeSent(socket)
    callback(...result)
  })
}

/** Has a socket free what `freeOnceSent` was called for, and nothing else. */
export function freeSent (socket: Socket): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]): boolean => {
    const [chunk, second, third] = args
    if (!(chunk instanceof Uint8Array) || !isFreedOnceSent(chunk)) return write(...args)
    const [encoding, then] = typeof second === 'function' ? [undefined, second] : [second, third]
    // Called when the kernel has all of it. After an error nobody knows what still reads from it: that is left to V8.
    return write(chunk, encoding, (error: Error | null | undefined) => {
      if (!error) free(chunk)
      if (typeof then === 'function') then(error)
    })
  }
}
