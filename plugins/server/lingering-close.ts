/**
 * polaris.linger: after an answer that did not wait for the whole body, ends only our side of the connection, and reads
 * on for a while (RFC 9112, section 9.6). Closed over unread bytes, it would be reset, and with that a client that
 * still sends would lose the answer.
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import fp from 'fastify-plugin'
import { provide } from '../../lib/polaris.ts'

declare module '../../lib/polaris.ts' {
  interface Polaris {
    /**
     * To be called before a request is answered with `connection: close`: nothing behind it on its connection is a
     * request. `forwarded`: its body is still being read.
     */
    readonly linger: (request: IncomingMessage, forwarded?: boolean) => void
  }
}

/** For the client to read the answer, and close. */
const LINGER = 5000

export default fp(async function lingeringClose (app) {
  const ending = new Set<Socket>()
  let closing = false

  function close (socket: Socket, request: IncomingMessage, forwarded: boolean): void {
    socket.end(() => { if (closing || request.complete) socket.destroy() })
    const timer = setTimeout(() => socket.destroy(), LINGER)
    socket.once('close', () => clearTimeout(timer))
    // The reader of the body no longer reads, and would hold up the rest.
    if (!forwarded) request.removeAllListeners('readable').resume()
  }

  provide(app.polaris, 'linger', (request, forwarded = false) => {
    const { socket } = request
    ending.add(socket)
    socket.once('close', () => ending.delete(socket))
    // Node's server calls this after the last answer on a connection, and by itself it would end reading, too.
    socket.destroySoon = () => close(socket, request, forwarded)
  })

  // The rest of the body may arrive while the answer waits for those to earlier requests, and something behind it.
  app.addHook('onRequest', ({ raw: { socket } }, reply, done) => {
    if (!ending.has(socket)) return done()
    reply.hijack()
    // The body was read to its end then: once the answer is sent, there is nothing left to wait for.
    if (socket.writableEnded) socket.destroy()
    else socket.pause()
  })

  // A stop does not wait for it.
  app.addHook('preClose', async () => {
    closing = true
    for (const socket of ending) if (socket.writableFinished) socket.destroy()
  })
}, { name: 'polaris-lingering-close', dependencies: ['polaris-config', 'polaris-graceful-stop'] })
