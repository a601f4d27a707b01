/** A drop-in fetch: everything it sends is encrypted to the proxy, and everything it gives back was opened here. */
import { UnsupportedRequestError } from '../errors.ts'
import { createClock } from './clock.ts'
import { attestedKeys } from './keys/attested.ts'
import { canStreamTo, discard, readRequest } from './request/body.ts'
import type { RequestBody } from './request/body.ts'
import { cached, chooseKey, fetchKeys } from './keys/published.ts'
import type { ProxyAddress } from './keys/published.ts'
import { GATEWAY_PATH, checkOptions } from './options.ts'
import type { PolarisFetchOptions } from './options.ts'
import { platformFetch } from './platform.ts'
import { createOhttpTransport } from './transport/ohttp.ts'
import { createV1Transport } from './transport/polaris-v1.ts'
import { follow } from './request/redirects.ts'
import { toResponse } from './response/response.ts'
import { abortable } from './streams.ts'
import { locate, parseBase } from './request/target.ts'
import type { Transport } from './transport/transport.ts'

/**
 * Makes a fetch for one proxy.
 *
 * It takes what fetch takes, and gives what fetch gives. URLs have to be below baseURL; relative ones are relative to
 * it. Of a request's options, those that concern a browser's own cache, cookies, referrer and CORS have no effect.
 *
 * The fetch throws PolarisFetchError, UnsupportedRequestError, what `attestation` or `keys` throws, or the reason of the
 * signal.
 *
 * @example
 * ```ts
 * import { createPolarisFetch } from '@polaris-secure-proxy/sdk'
 *
 * const fetch = createPolarisFetch({ baseURL: 'https://proxy.example' })
 * const response = await fetch('/records', { method: 'POST', body: JSON.stringify({ patient: 4711 }) })
 * console.log(response.status, await response.json())
 * ```
 *
 * @throws {TypeError} an option is wrong
 * @throws {AttestationPolicyError} the policy is malformed, or pins nothing
 */
export function createPolarisFetch (options: PolarisFetchOptions): typeof globalThis.fetch {
  checkOptions(options)
  const base = parseBase(options.baseURL)
  const { fetch = platformFetch(options.dispatcher), gatewayPath = GATEWAY_PATH } = options
  const baseURL = base.origin + base.prefix
  const { transport, canStream } = createProtocol(options, { baseURL, gatewayURL: baseURL + gatewayPath, fetch })

  return async (input, init) => {
    const target = locate(base, isRequest(input) ? input.url : String(input))
    const { request, method, body } = readRequest(isRequest(input) ? input : target.url, init)
    const { headers, signal, redirect, integrity } = request
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
  const clock = createClock(options.clock === 'gateway')
  const source = attestation === undefined ? options.keys : attestedKeys(attestation, clock)
  if (protocol === 'polaris-v1') return { transport: createV1Transport({ proxy, source, keyHandler }), canStream: async () => false }
  const load = source ?? fetchKeys
  const keys = cached(async fresh => {
    const { octets, maxAge } = await load(proxy, 'ohttp-keys', { fresh })
    return { key: await chooseKey(octets, postQuantum), maxAge }
  })
  return {
    transport: createOhttpTransport({ ...proxy, keys, clock }),
    canStream: async () => streamRequests ?? canStreamTo(proxy.gatewayURL, () => keys.get())
  }
}
