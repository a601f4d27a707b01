/**
 * Lets go of clients that fall silent within their request, or take nothing of their response: each of them holds memory
 * and a connection to the workload, and nobody else ends that.
 */
import fp from 'fastify-plugin'
import { Problem } from '../../lib/http/problems.ts'

/** For octets that are on their way to be read, in milliseconds. */
const MOMENT = 100

export default fp(async function clientTimeouts (app) {
  const { clientIdleTimeout } = app.polaris.config
  if (clientIdleTimeout === 0) return

  app.addHook('onRequest', (request, reply, done) => {
    const { raw: response, request: { raw } } = reply
    const { socket } = raw
    // Octets that nobody took yet mean that the workload is slow, not the client.
    const isSilent = () => !raw.complete && raw.readableLength === 0
    // Called when nothing came or went on the connection for this long, however slowly.
    response.setTimeout(clientIdleTimeout, () => {
      if (response.writableLength > 0) {
        request.log.info('client takes nothing of its response, and is let go')
        response.destroy()
      } else if (isSilent()) {
        // Where the workload has only now made room, what the client was waiting to send is on its way.
        const { bytesRead } = socket
        setTimeout(() => isSilent() && socket.bytesRead === bytesRead ? end() : response.setTimeout(clientIdleTimeout), MOMENT)
      } else {
        response.setTimeout(clientIdleTimeout)
      }
    })
    done()

    function end () {
      if (response.headersSent) {
        response.destroy()
      } else {
        reply.send(new Problem('client-timeout'))
        response.once('finish', () => raw.destroy())
      }
    }
  })
}, { name: 'polaris-client-timeouts', dependencies: ['polaris-config', 'polaris-errors'] })
