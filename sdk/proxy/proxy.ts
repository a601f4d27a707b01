/** The local proxy, put together: keys that are proven before it listens, a listener, and what stops both. */
import { parseBase } from '../fetch/request/target.ts'
import type { PostQuantum } from '../fetch/keys/published.ts'
import { GATEWAY_PATH } from '../fetch/options.ts'
import { createOhttpTransport } from '../fetch/transport/ohttp.ts'
import type { Field } from '../../lib/protocols/bhttp/bhttp.ts'
import { createEndpoints } from './exchange/endpoints.ts'
import { VERIFIED_FIELD } from './exchange/fields.ts'
import { createForwarder } from './exchange/forward.ts'
import { createGuard } from './exchange/guard.ts'
import type { GuardOptions } from './exchange/guard.ts'
import { createHandler } from './exchange/handler.ts'
import { createProblems } from './exchange/problems.ts'
import { createProof } from './keys/proof.ts'
import type { Proven } from './keys/proof.ts'
import type { Trust } from './keys/trust.ts'
import type { ListenAddress } from './listen/address.ts'
import { listen } from './listen/listener.ts'
import type { RenewedCertificate } from './listen/tls.ts'
import type { Log } from './log.ts'

export interface LocalProxyOptions extends GuardOptions {
  /** Where the proxy is mounted. */
  readonly baseURL: string
  readonly trust: Trust
  readonly postQuantum: PostQuantum
  /** Carries the encrypted messages. */
  readonly fetch: typeof globalThis.fetch
  /** What the environment has to do with a failed connection; undefined if nothing. */
  readonly explain: (error: unknown) => string | undefined
  readonly listen: ListenAddress
  readonly certificate: RenewedCertificate | undefined
  /** See `addedHeaders`. */
  readonly added: () => readonly Field[]
  readonly log: Log
  /** Called with what was verified, before it listens. */
  readonly onProven: (proven: Proven) => void
}

export interface LocalProxy {
  /** What to call it: a URL, or the path of a socket. */
  readonly address: string
  /** Takes no new connections, and resolves once what is in flight has ended. */
  stop (): Promise<void>
}

/**
 * Verifies, then listens.
 *
 * @throws {AttestationError} the proxy does not prove its keys
 * @throws {UsageError} it cannot listen there
 * @throws what `Trust.appraise` throws if the proxy is unreachable
 */
export async function startLocalProxy (options: LocalProxyOptions): Promise<LocalProxy> {
  const { trust, log, fetch, hosts, origins, added, postQuantum, explain } = options
  const base = parseBase(options.baseURL)
  const baseURL = base.origin + base.prefix
  const address = { baseURL, gatewayURL: baseURL + GATEWAY_PATH, fetch }
  const own: Field[] = [[VERIFIED_FIELD, trust.verified ? 'yes' : 'no']]

  const proof = createProof({ trust, proxy: address, postQuantum, log })
  await proof.get()
  const { proven } = proof.status()
  if (proven !== undefined) options.onProven(proven)

  const problemOf = createProblems(explain)
  const handler = createHandler({
    guard: createGuard({ hosts, origins }),
    endpoints: createEndpoints({
      proxy: baseURL, verified: trust.verified, policyHash: trust.policyHash, status: () => proof.status(), problemOf
    }),
    forward: createForwarder(
      { base, transport: createOhttpTransport({ ...address, keys: proof }), added, own, problemOf }
    ),
    own,
    log
  })
  const listener = await listen(options.listen, handler, options.certificate)
  const stopRenewal = proof.keepFresh()
  return {
    address: listener.address,
    async stop () {
      await listener.stop()
      stopRenewal()
    }
  }
}
