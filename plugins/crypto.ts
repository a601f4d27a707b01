/** polaris.exchanges: finds the protocol of a request by its outer head, and opens it into an exchange. */
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { trustedProxies } from '../lib/http/trusted-proxies.ts'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import type { ProtocolName } from '../lib/exchanges/names.ts'
import type { ProtocolDefinition } from '../lib/exchanges/protocol.ts'
import { createRegistry } from '../lib/exchanges/registry.ts'
import type { Registry } from '../lib/exchanges/registry.ts'
import { clientAddress, forwarding, plainAddress } from '../lib/http/caller.ts'
import type { Caller } from '../lib/http/caller.ts'
import { isConfidential } from '../lib/tls/confidential.ts'
import type { IncomingRequest } from '../lib/http/incoming.ts'
import { withOuterTrace } from '../lib/http/outer-trace.ts'
import { meteredServices } from '../lib/metrics/services.ts'
import { provide } from '../lib/polaris.ts'
import { createByteBudget } from '../lib/streams/budget.ts'
import type { ByteBudget } from '../lib/streams/budget.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly exchanges: Exchanges
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    /** For logs and metrics; null before the proxy has looked at the request, as on its own endpoints. */
    exchangeProtocol: ProtocolName | null
  }
}

export interface Exchanges extends Pick<Registry, 'keyResources' | 'offered' | 'endpoints' | 'withheld'> {
  /**
   * Opens a request with the protocol that its outer head shows, and notes which one that is.
   *
   * @throws {Problem} it is refused, or cannot be opened
   */
  open (request: FastifyRequest): Exchange | Promise<Exchange>
  /** What all of them have buffered. */
  readonly budget: ByteBudget
}

export interface ProtocolsPluginOptions {
  /** Protocols of your own, in front of those that are built in. */
  readonly protocols?: readonly ProtocolDefinition[]
}

export default fp<ProtocolsPluginOptions>(async function openExchanges (app, options) {
  const { config, counts, keys, hpke, metrics, replay, messages } = app.polaris
  const budget = createByteBudget(config.maxBufferedBytes)
  const { failedUnwraps } = counts
  const services = { config, keys, hpke, replay, messages, budget, failedUnwraps }
  const { protocolOf, ...published } = createRegistry(services, options.protocols, metrics.isOn
    ? (services, protocol) => meteredServices(metrics.meter, services, protocol)
    : undefined)
  const isTrusted = trustedProxies(config.trustProxy)

  app.decorateRequest('exchangeProtocol', null)
  provide(app.polaris, 'exchanges', {
    ...published,
    budget,
    open (request) {
      const protocol = protocolOf(request)
      request.exchangeProtocol = protocol.name
      if (request.passage !== null) request.passage.protocol = protocol.name
      const exchange = protocol.open(incomingRequest(request, isTrusted))
      if (!config.forwardOuterTrace) return exchange
      return Promise.resolve(exchange).then(opened => withOuterTrace(opened, request.raw.headers))
    }
  })
}, {
  name: 'polaris-exchanges',
  dependencies: [
    'polaris-config', 'polaris-metrics', 'polaris-keys', 'polaris-hpke', 'polaris-replay', 'polaris-limits'
  ]
})

function incomingRequest (
  request: FastifyRequest, isTrusted: (address: string | undefined) => boolean
): IncomingRequest {
  const { raw } = request
  const { remoteAddress } = raw.socket
  const caller: Caller = {
    trusted: isTrusted(remoteAddress),
    address: remoteAddress === undefined ? undefined : plainAddress(remoteAddress),
    encrypted: 'encrypted' in raw.socket,
    confidential: isConfidential(raw.socket),
    host: raw.headers.host
  }
  return {
    method: request.method,
    target: request.originalUrl,
    headers: raw.headers,
    rawHeaders: raw.rawHeaders,
    caller,
    clientAddress: () => clientAddress(raw.rawHeaders, remoteAddress ?? '', isTrusted),
    payload: raw,
    trailers: () => raw.rawTrailers,
    forwarding: () => forwarding(raw.rawHeaders, caller)
  }
}
