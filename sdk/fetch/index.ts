/** A drop-in fetch: everything it sends is encrypted to the proxy, and everything it gives back was opened here. */
import type { AttestationPolicy } from '../attestation/policy.ts'
import { UnsupportedRequestError } from '../errors.ts'
import type { KeyHandler } from '../polaris-v1/key-handler.ts'
import { attestedKeys } from './keys/attested.ts'
import type { AttestationOptions } from './keys/attested.ts'
import { canStreamTo, discard, readRequest } from './request/body.ts'
import type { RequestBody } from './request/body.ts'
import { cached, chooseKey, fetchKeys } from './keys/published.ts'
import type { KeySource, PostQuantum, ProxyAddress } from './keys/published.ts'
import { createOhttpTransport } from './transport/ohttp.ts'
import { createV1Transport } from './transport/polaris-v1.ts'
import { follow } from './request/redirects.ts'
import { toResponse } from './response/response.ts'
import { abortable } from './streams.ts'
import { locate, parseBase } from './request/target.ts'
import type { Transport } from './transport/transport.ts'

export const GATEWAY_PATH = '/.well-known/ohttp-gateway'

export interface PolarisFetchOptions {
  /** Where the proxy is mounted, with the path prefix that a load balancer routes by. The workload's root is there. */
  readonly baseURL: string | URL
  /** What carries the encrypted messages. Default: the platform's. */
  readonly fetch?: typeof globalThis.fetch
  /** Default: `ohttp`. The legacy `polaris-v1` holds whole messages in memory and hides neither method nor status. */
  readonly protocol?: 'ohttp' | 'polaris-v1'
  /** What the proxy has to prove about the keys before anything is encrypted to them. Default: nothing but what TLS does. */
  readonly attestation?: AttestationPolicy | AttestationOptions
  /** Where the proxy's keys come from, if neither from itself nor from its attestation. */
  readonly keys?: KeySource
  /** Default: `prefer`. */
  readonly postQuantum?: PostQuantum
  /** Of the OHTTP gateway, below baseURL. Default: `/.well-known/ohttp-gateway`. */
  readonly gatewayPath?: string
  /** Whether request bodies are streamed, or held in memory first. Default: found out. */
  readonly streamRequests?: boolean
  /** polaris-v1: the client's own key. Default: an ephemeral one. */
  readonly keyHandler?: KeyHandler
}

/**
 * Makes a fetch for one proxy.
 *
 * It takes what fetch takes, and gives what fetch gives. URLs have to be below baseURL; relative ones are relative to
 * it. Of a request's options, those that concern a browser's own cache, cookies, referrer and CORS have no effect.
 *
 * The fetch throws PolarisFetchError, UnsupportedRequestError, what `attestation` or `keys` throws, or the reason of the
 * signal.
 *
 * @throws {TypeError} an option is wrong
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function createPolarisFetch (options: PolarisFetchOptions): typeof globalThis.fetch {
  const base = parseBase(options.baseURL)
  const { fetch = defaultFetch, protocol = 'ohttp', gatewayPath = GATEWAY_PATH } = options
  check('protocol', protocol, ['ohttp', 'polaris-v1'])
  check('postQuantum', options.postQuantum ?? 'prefer', ['prefer', 'require', 'never'])
  if (protocol === 'polaris-v1' && options.postQuantum === 'require') throw new TypeError('polaris-v1 is not post-quantum')
  if (options.attestation !== undefined && options.keys !== undefined) throw new TypeError('attestation and keys exclude each other')
  if (!gatewayPath.startsWith('/')) throw new TypeError('gatewayPath must start with a slash')
  const baseURL = base.origin + base.prefix
  const gatewayURL = baseURL + gatewayPath
  const { transport, canStream } = createProtocol(options, { baseURL, gatewayURL, fetch })

  return async (input, init) => {
    const target = locate(base, isRequest(input) ? input.url : String(input))
    const { request, body } = readRequest(isRequest(input) ? input : target.url, init)
    const { method, headers, signal, redirect, integrity } = request
    if (integrity !== '') throw new UnsupportedRequestError('integrity is not checked by this fetch: check the digest of the body yourself')
    let content: RequestBody | undefined
    try {
      const stream = request.body !== null && await abortable(canStream, signal)
      content = await body(stream)
      return toResponse(await follow(transport, base, { target, method, headers, body: content, signal }, redirect))
    } catch (error) {
      await discard(request, content, error)
      throw error
    }
  }
}

/** Another frame's Request is one, too. So is another library's, which the platform then refuses as its own fetch does. */
function isRequest (input: unknown): input is Request {
  return Object.prototype.toString.call(input) === '[object Request]'
}

interface Protocol {
  readonly transport: Transport
  /** Whether request bodies can be streamed. */
  canStream (): Promise<boolean>
}

function createProtocol (options: PolarisFetchOptions, proxy: ProxyAddress): Protocol {
  const { protocol, attestation, postQuantum = 'prefer', streamRequests, keyHandler } = options
  const source = attestation === undefined ? options.keys : attestedKeys(attestation)
  if (protocol === 'polaris-v1') return { transport: createV1Transport({ proxy, source, keyHandler }), canStream: async () => false }
  const load = source ?? fetchKeys
  const keys = cached(async () => {
    const { octets, maxAge } = await load(proxy, 'ohttp-keys')
    return { key: await chooseKey(octets, postQuantum), maxAge }
  })
  return {
    transport: createOhttpTransport({ ...proxy, keys }),
    canStream: async () => streamRequests ?? canStreamTo(proxy.gatewayURL, () => keys.get())
  }
}

/** Looked up at each call, so that what replaces the platform's later (tests, instrumentation) is used. */
const defaultFetch: typeof globalThis.fetch = (input, init) => globalThis.fetch(input, init)

function check (option: string, value: string, accepted: readonly string[]): void {
  if (!accepted.includes(value)) throw new TypeError(`${option} must be one of ${accepted.join(', ')}`)
}
