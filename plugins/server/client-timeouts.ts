/**
 * Lets go of clients that fall silent within their request, send it at a trickle, or take nothing of their response:
 * each of them holds memory and a connection to the workload, and nothing else ends that.
 */
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import fp from 'fastify-plugin'
import { Problem } from '../../lib/http/problems.ts'

/** For bytes that are on their way to be read, in milliseconds. */
const MOMENT = 100

export default fp(async function clientTimeouts (app) {
  const { clientIdleTimeout, clientMinRate } = app.polaris.config
  if (clientIdleTimeout === 0) return
  /** Bytes that have to arrive within the timeout. */
  const leastBytes = clientMinRate * clientIdleTimeout / 1000

  app.addHook('onRequest', (request, reply, done) => {
    const { raw: response } = reply
    const { raw } = request
    // Kept: a request that undici gives up loses its connection.
    const { socket } = raw
    // Called when nothing came or went on the connection for this long, however slowly.
    response.setTimeout(clientIdleTimeout, () => {
      if (response.writableLength > 0) {
        request.log.info('client stopped reading its response; closing the connection')
        response.destroy()
      } else if (mayBeSilent(reply)) {
        ifStillSilent(reply, socket, 0, () => end(reply), () => response.setTimeout(clientIdleTimeout))
      } else {
        response.setTimeout(clientIdleTimeout)
      }
    })
    // A request that came in one packet with its head is here by then, and worth no timer.
    if (leastBytes > 0) queueMicrotask(() => { if (!raw.complete && !response.destroyed) watchRate(reply, socket) })
    done()
  })

  function watchRate (reply: FastifyReply, socket: Socket): void {
    const { request: { raw }, raw: response } = reply
    let before = socket.bytesRead
    const timer = setInterval(() => {
      const arrived = socket.bytesRead - before
      before = socket.bytesRead
      if (raw.complete) clearInterval(timer)
      else if (arrived < leastBytes && mayBeSilent(reply)) {
        ifStillSilent(reply, socket, clientMinRate * MOMENT / 1000, () => end(reply), () => undefined)
      }
    }, clientIdleTimeout)
    timer.unref()
    raw.once('end', () => clearInterval(timer))
    response.once('close', () => clearInterval(timer))
  }
}, { name: 'polaris-client-timeouts', dependencies: ['polaris-config', 'polaris-errors'] })

/** Bytes that were not read yet mean that the workload is slow, not the client. */
function mayBeSilent ({ request: { raw } }: FastifyReply): boolean {
  return !raw.complete && raw.readableLength === 0
}

/**
 * If the workload has only now made room, what the client was waiting to send is on its way: more than so many bytes.
 */
function ifStillSilent (
  reply: FastifyReply, socket: Socket, trickle: number, then: () => void, otherwise: () => void
): void {
  const { bytesRead } = socket
  setTimeout(() => mayBeSilent(reply) && socket.bytesRead - bytesRead <= trickle ? then() : otherwise(), MOMENT)
}

function end (reply: FastifyReply): void {
  const { request: { raw }, raw: response } = reply
  if (response.destroyed) return
  if (response.headersSent) {
    response.destroy()
  } else {
    reply.send(new Problem('client-timeout'))
    response.once('finish', () => raw.destroy())
  }
}
