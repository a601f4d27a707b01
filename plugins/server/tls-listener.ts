/**
 * Listens for TLS beside the server's own port. What arrives is handed to that same server as a connection, so that
 * timeouts, limits, refusals and the stop are the same for both.
 */
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import fp from 'fastify-plugin'
import { anyAddress, listenError } from '../../lib/config/start.ts'
import { settings } from '../../lib/config/settings.ts'
import { markConfidential } from '../../lib/tls/confidential.ts'
import type { TlsListener } from '../../lib/tls/listener.ts'
import { MAX_HEADER_BYTES } from './options.ts'
import type { TlsListenerPluginOptions } from './tls-keys.ts'

/** Preferred first. */
const PROTOCOLS = ['h2', 'http/1.1']

export default fp<TlsListenerPluginOptions>(async function tlsListener (app, options) {
  const { attestation, config, tls } = app.polaris
  if (tls === undefined) return
  const server = app.server as Server
  const isConfidential = config.tls !== 'files' || config.tlsFilesSuffice
  const [{ startTlsListener }, { createTicketKeys }, { textOf }, { createHttp2 }] = await Promise.all([
    import('../../lib/tls/listener.ts'), import('../../lib/tls/ticket-keys.ts'), import('../../lib/tls/files.ts'),
    import('../../lib/http2/server.ts')
  ])
  const clientCa = config.tlsClientCa === undefined
    ? undefined
    : await textOf(config.tlsClientCa, settings.tlsClientCa.env)
  const tickets = options.ticketKeys ?? createTicketKeys()
  let listener: TlsListener | undefined
  let closed: Promise<void> | undefined

  tls.start(key => attestation.covers(key))

  app.addHook('onReady', async () => {
    const host = config.host ?? await anyAddress()
    try {
      listener = await startTlsListener({
        config, host, keys: tls, tickets, clientCa, protocols: PROTOCOLS, onConnection: serve
      })
    } catch (error) {
      throw listenError(error, config, 'tlsPort')
    }
    // Node's server watches for heads that do not arrive, and knows its connections, from then on. It may not listen.
    server.emit('listening')
    app.log.info({ address: listener.address, tls: config.tls }, 'TLS listening')
    if (config.tlsAcmeChallenge === 'tls-alpn-01') tls.certificates?.reachable()
  })

  const http2 = createHttp2({ maxHeaderBytes: MAX_HEADER_BYTES, onConnection: connect })

  function serve (socket: TLSSocket): void {
    if (socket.alpnProtocol === 'h2') http2.serve(socket)
    else connect(socket)
  }

  function connect (connection: Duplex): void {
    if (isConfidential) markConfidential(connection)
    server.emit('connection', connection)
  }

  // With the server's own port: requests in flight finish, for as long as the stop allows.
  app.addHook('preClose', async () => {
    closed = listener?.close()
    http2.close()
    server.closeIdleConnections()
  })
  app.addHook('onClose', async () => {
    await closed
    tickets.close()
  })
}, { name: 'polaris-tls-listener', dependencies: ['polaris-tls-keys', 'polaris-attestation', 'polaris-graceful-stop'] })
