/** undici's connector, whose sockets free what they have sent (docs/decisions/0017-buffers-freed-by-hand.md). */
import type { Socket } from 'node:net'
import { buildConnector } from 'undici'
import { free, isFreedOnceSent } from './free.ts'

export function createFreeingConnector (options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options)
  return (target, callback) => connect(target, (...result) => {
    const [error, socket] = result
    if (error === null) freeSent(socket)
    callback(...result)
  })
}

/** Only what `freeOnceSent` was called for. */
function freeSent (socket: Socket): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean
  socket.write = (...args: unknown[]): boolean => {
    const [chunk] = args
    if (!(chunk instanceof Uint8Array) || !isFreedOnceSent(chunk) || args.length > 1) return write(...args)
    // Called when the kernel has all of it. After an error nobody knows what still reads from it: that is left to V8.
    return write(chunk, (error: Error | null | undefined) => { if (!error) free(chunk) })
  }
}
