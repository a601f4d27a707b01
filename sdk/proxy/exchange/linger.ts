/**
 * Closes a connection so that its last answer arrives (RFC 9112, section 9.6). Closed over bytes that were not read,
 * TCP resets it, and a client that still sends its body would lose the answer.
 */
import type { IncomingMessage } from 'node:http'

/** For the client to read the answer, and close. */
const LINGER_MS = 5000

/** To be called for each request. Node's server calls `destroySoon` after the last answer on a connection. */
export function linger (request: IncomingMessage): void {
  const { socket } = request
  socket.destroySoon = () => {
    if (request.complete) return socket.end(() => socket.destroy())
    socket.end()
    request.removeAllListeners('readable').once('end', () => socket.destroy()).resume()
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
  }
}
