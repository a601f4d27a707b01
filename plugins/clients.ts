/**
 * Lets go of clients that fall silent within their request, or take nothing of their response: each of them holds memory
 * and a connection to the workload, and nobody else ends that.
 */
import fp from 'fastify-plugin'
import { Problem } from '../lib/problems.ts'

export default fp(async function clients (app) {
  const { clientIdleTimeout } = app.polaris.config
  if (clientIdleTimeout === 0) return

  app.addHook('onRequest', (request, reply, done) => {
    const { raw: response, request: { raw } } = reply
    // Called when nothing came or went on the connection for this long, however slowly.
    response.setTimeout(clientIdleTimeout, () => {
      // Octets that nobody took yet mean that the workload is slow, not the client.
      const silent = !raw.complete && raw.readableLength === 0
      if (response.writableLength > 0) {
        request.log.info('client takes nothing of its response, and is let go')
        response.destroy()
      } else if (silent && response.headersSent) {
        response.destroy()
      } else if (silent) {
        reply.send(new Problem('client-timeout'))
        response.once('finish', () => raw.destroy())
      } else {
        response.setTimeout(clientIdleTimeout)
      }
    })
    done()
  })
}, { name: 'polaris-clients', dependencies: ['polaris-config', 'polaris-errors'] })
