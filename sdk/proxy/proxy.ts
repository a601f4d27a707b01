/** The local proxy, put together: keys that are proven before it listens, a listener, and what stops both. */
import type { Socket } from 'node:net'
import { UsageError } from '../cli/status.ts'
import { parseBase } from '../fetch/request/target.ts'
import type { Base } from '../fetch/request/target.ts'
import type { PostQuantum } from '../fetch/keys/published.ts'
import { GATEWAY_PATH } from '../fetch/options.ts'
import { abortable } from '../fetch/streams.ts'
import { createOhttpTransport } from '../fetch/transport/ohttp.ts'
import type { OhttpResponse } from '../fetch/transport/ohttp.ts'
import type { PlainRequest } from '../fetch/transport/transport.ts'
import { createTlsTransport } from '../tls/transport.ts'
import type { Field } from '../../lib/protocols/bhttp/bhttp.ts'
import { createEndpoints } from './exchange/endpoints.ts'
import { VERIFIED_FIELD } from './exchange/fields.ts'
import { createForwarder } from './exchange/forward.ts'
import { createGuard } from './exchange/guard.ts'
import type { GuardOptions } from './exchange/guard.ts'
import { createHandler } from './exchange/handler.ts'
import { createProblems } from './exchange/problems.ts'
import { createProof } from './keys/proof.ts'
import type { Proof, Proven } from './keys/proof.ts'
import { ohttpKeys, tlsKeys } from './keys/sources.ts'
import type { Trust } from './keys/trust.ts'
import type { ListenAddress } from './listen/address.ts'
import { listen } from './listen/listener.ts'
import type { RenewedCertificate } from './listen/tls.ts'
import type { Log } from './log.ts'
import { createHttp2 } from './tunnel/http2.ts'
import { createTunnels } from './tunnel/tunnels.ts'
import type { Connect } from './tunnel/tunnels.ts'
import { createUpgrade } from './tunnel/websocket.ts'

export interface LocalProxyOptions extends GuardOptions {
  /** Where the proxy is mounted. */
  readonly baseURL: string
  readonly trust: Trust
  readonly postQuantum: PostQuantum
  /** What requests go by. WebSockets and HTTP/2 go by TLS in any case. */
  readonly transport: 'ohttp' | 'tls'
  /** For TLS connections, in milliseconds. */
  readonly connectTimeout: number | undefined
  /** Why connections cannot be made directly, if they cannot. */
  readonly indirect: string | undefined
  /** Whether headers are added: only requests that this proxy reads can be given one. */
  readonly adds: boolean
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
  const { trust, log, hosts, origins, added, explain } = options
  const base = parseBase(options.baseURL)
  const own: Field[] = [[VERIFIED_FIELD, trust.verified ? 'yes' : 'no']]

  const { proof, transport, connect } = options.transport === 'tls' ? byTls(options, base) : byOhttp(options, base)
  await proof.get()
  const { proven } = proof.status()
  if (proven !== undefined) options.onProven(proven)

  const problemOf = createProblems(explain)
  const guard = createGuard({ hosts, origins })
  const tunnels = createTunnels({ connect, problemOf, log })
  const listener = await listen(options.listen, {
    handler: createHandler({
      guard,
      endpoints: createEndpoints({
        proxy: base.origin + base.prefix,
        verified: trust.verified,
        policyHash: trust.policyHash,
        status: () => proof.status(),
        problemOf
      }),
      forward: createForwarder({ base, transport, added, own, problemOf }),
      own,
      log
    }),
    upgrade: createUpgrade({ base, guard, added, own, tunnels }),
    http2: createHttp2({ refusal: refusalOfHttp2(options, base), tunnels })
  }, options.certificate)
  const stopRenewal = proof.keepFresh()
  return {
    address: listener.address,
    async stop () {
      tunnels.stop()
      await listener.stop()
      stopRenewal()
    }
  }
}

interface Way {
  readonly proof: Pick<Proof<unknown>, 'get' | 'status' | 'keepFresh'>
  readonly transport: (request: PlainRequest) => Promise<OhttpResponse>
  /** For what is no exchange; or why there is no such connection. */
  readonly connect: Connect | string
}

function byOhttp (options: LocalProxyOptions, base: Base): Way {
  const { trust, postQuantum, log } = options
  const address = addressOf(options, base)
  const proof = createProof({ prove: ohttpKeys(trust, address, postQuantum), log })
  const refusal = refusalOfTls(options, base)
  return {
    proof,
    transport: createOhttpTransport({ ...address, keys: proof }),
    connect: refusal ?? tlsKeys(trust, address, tlsOptions(options)).connect
  }
}

/** @throws {UsageError} keys of connections cannot be proven that way */
function byTls (options: LocalProxyOptions, base: Base): Way {
  const refusal = refusalOfTls(options, base)
  if (refusal !== undefined) throw new UsageError(`--transport tls: ${refusal}`)
  const keys = tlsKeys(options.trust, addressOf(options, base), tlsOptions(options))
  const proof = createProof({ prove: keys.prove, log: options.log })
  const transport = createTlsTransport(keys.pinned, base)
  return {
    proof,
    async transport (request) {
      await abortable(() => proof.get(), request.signal)
      return transport(request)
    },
    async connect (application): Promise<Socket> {
      await proof.get()
      return keys.connect(application)
    }
  }
}

function addressOf ({ fetch }: LocalProxyOptions, { origin, prefix }: Base) {
  const baseURL = origin + prefix
  return { baseURL, gatewayURL: baseURL + GATEWAY_PATH, fetch }
}

function tlsOptions ({ postQuantum, connectTimeout }: LocalProxyOptions) {
  return { postQuantum, ...connectTimeout !== undefined && { timeout: connectTimeout } }
}

function refusalOfTls ({ trust, indirect }: LocalProxyOptions, { origin }: Base): string | undefined {
  if (!origin.startsWith('https:')) {
    return 'the base URL is not that of a TLS port: it has to be an https URL, of the port where TLS ends in the TEE'
  }
  if (trust.appraiseTls === undefined) return 'with --insecure, nothing proves the key of a TLS connection'
  return indirect
}

function refusalOfHttp2 ({ adds }: LocalProxyOptions, { prefix }: Base): string | undefined {
  if (adds) return 'HTTP/2 passes as it is, so --header cannot be added to it: use HTTP/1.1'
  return prefix === '' ? undefined : 'HTTP/2 passes as it is, so the proxy must be at the root: use HTTP/1.1'
}
