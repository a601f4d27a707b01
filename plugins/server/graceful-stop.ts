/** Stops with grace: not ready at once, serving on for a while, then ending connections as soon as they are idle. */
import type { Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import fp from 'fastify-plugin'

export default fp(async function gracefulStop (app) {
  const { config, readiness } = app.polaris
  // Clients open connections for later, and Node takes one that never had a request for busy.
  const unused = new Set<Socket>()
  let closing = false

  app.server.on('connection', (socket: Socket) => {
    unused.add(socket)
    socket.once('close', () => unused.delete(socket))
  })
  app.server.on('request', ({ socket }) => unused.delete(socket))

  // Requests are served on while load balancers notice.
  app.addHook('preClose', async () => {
    readiness.stop()
    await setTimeout(config.stopDelay)
    closing = true
    for (const socket of unused) socket.destroy()
  })

  // A client that sends its next request on the same connection would lose it.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    if (readiness.stopping) reply.header('connection', 'close')
    done()
  })

  // Node closes connections that are idle now, but not those that become so: kept alive, they would hold up the stop.
  app.addHook('onResponse', ({ raw }, _reply, done) => {
    // Null if undici gave up the request: then the connection ends with the answer.
    if (closing) (raw.socket as Socket | null)?.destroySoon()
    done()
  })
}, { name: 'polaris-graceful-stop', dependencies: ['polaris-config'] })
