/** polaris.crypto: recognises the protocol of a request from its outer headers, and opens it into an exchange. */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { createByteBudget } from '../lib/streams/budget.ts'
import { trustedProxies } from '../lib/config/config.ts'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import type { IncomingRequest } from '../lib/http/incoming.ts'
import { createOhttpGateway, ohttpProtocol } from '../lib/exchanges/ohttp/open.ts'
import { openPlain } from '../lib/exchanges/plain.ts'
import { UNWRAPS_PER_REQUEST, isPolarisV1, openPolarisV1 } from '../lib/exchanges/polaris-v1/open.ts'
import { createSealer, parseResponseKey } from '../lib/exchanges/polaris-v1/seal.ts'
import { createFailedUnwraps } from '../lib/exchanges/polaris-v1/failed-unwraps.ts'
import { freeSent } from '../lib/streams/freeing-sockets.ts'
import { clientAddress, forwarding } from '../lib/http/headers.ts'
import type { Caller } from '../lib/http/headers.ts'
import { createAdmission } from '../lib/keys/rsa/admission.ts'
import { Problem } from '../lib/http/problems.ts'
import { MessageError } from '../lib/protocols/polaris-v1.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly crypto: Crypto
  }
}

export interface Crypto {
  /**
   * Opens a request with the protocol that its outer headers show.
   *
   * @throws {Problem} it is refused, or cannot be opened
   */
  open (request: FastifyRequest): Exchange | Promise<Exchange>
}

export default fp(async function crypto (app) {
  const { config, keys, hpke, replay } = app.polaris
  const budget = createByteBudget(config.maxBufferedBytes)
  const own = new Set([config.urlHeader, config.secureHeader, config.responsePublicKeyHeader])
  const isTrusted = trustedProxies(config.trustProxy)
  // What is left of the queue is for the bodies of those who were let in.
  const admit = createAdmission(Math.max(1, Math.floor(config.maxPendingUnwraps / UNWRAPS_PER_REQUEST)))
  const v1 = { ...config, own, admit }
  const failures = createFailedUnwraps(config.keyRemoteFailedUnwraps)
  const gateway = createOhttpGateway(hpke, replay, budget, {
    ...config,
    own,
    allowedAuthorities: new Set(config.ohttpAllowedAuthorities?.toLowerCase().split(',').map(part => part.trim())),
    padding: config.responsePadding === 'off' ? 0 : Number(config.responsePadding)
  })
  const needsKeys = () => { if (!keys.status().ready) throw new Problem('not-ready') }

  /** Where an unwrap costs money, whoever sends what does not open is turned away for a while. */
  async function openV1 (incoming: IncomingRequest, address = ''): Promise<Exchange> {
    if (!keys.remote) return openPolarisV1(incoming, keys, budget, v1)
    const client = clientAddress(incoming.rawHeaders, address, isTrusted)
    const retryAfter = failures.retryAfter(client)
    if (retryAfter !== undefined) throw new Problem('too-many-requests', { retryAfter })
    try {
      return await openPolarisV1(incoming, keys, budget, v1)
    } catch (error) {
      if (error instanceof Problem && error.code === 'cannot-open') failures.failed(client)
      throw error
    }
  }

  /** Only the response is sealed, to a key that came in clear. */
  function withSealedResponse (exchange: Exchange, incoming: IncomingRequest): Exchange {
    const header = incoming.headers[config.responsePublicKeyHeader]
    try {
      const sealer = createSealer(parseResponseKey(header), budget, config.maxBodyBytes)
      return { ...exchange, headers: [...withoutEncodings(exchange.headers), 'accept-encoding', 'identity'], seal: sealer.seal, release: sealer.release }
    } catch (error) {
      throw error instanceof MessageError ? new Problem('response-key-required', { cause: error }) : error
    }
  }

  const crypto: Crypto = {
    open (request) {
      const { raw } = request
      const caller: Caller = {
        trusted: isTrusted(raw.socket.remoteAddress),
        address: raw.socket.remoteAddress,
        encrypted: 'encrypted' in raw.socket,
        host: raw.headers.host
      }
      const incoming: IncomingRequest = {
        method: request.method,
        target: request.originalUrl,
        headers: raw.headers,
        rawHeaders: raw.rawHeaders,
        payload: raw,
        forwarding: () => caller.trusted ? forwarding(raw.rawHeaders, caller) : []
      }
      const protocol = config.enableOhttp ? ohttpProtocol(incoming) : undefined
      if (protocol !== undefined) {
        if (!hpke.isReady) throw new Problem('not-ready')
        return gateway.open(incoming, protocol)
      }
      if (config.enableInputEncryption) {
        if (!config.enableV1 || !isPolarisV1(incoming, v1)) throw new Problem('encryption-required')
        needsKeys()
        return openV1(incoming, caller.address)
      }
      const exchange = openPlain(incoming, caller, { contextRoot: config.contextRoot, own })
      return config.enableOutputEncryption ? withSealedResponse(exchange, incoming) : exchange
    }
  }
  Object.assign(app.polaris, { crypto })
  // Responses leave in Buffers that are marked for it.
  app.server.on('connection', freeSent)
}, { name: 'polaris-crypto', dependencies: ['polaris-config', 'polaris-keys', 'polaris-hpke', 'polaris-replay'] })

function withoutEncodings (headers: readonly string[]): string[] {
  return headers.filter((_, i) => headers[i - i % 2] !== 'accept-encoding')
}
