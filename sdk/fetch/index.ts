/** A drop-in fetch: everything it sends is encrypted to the proxy, and everything it gives back was opened here. */
import { UnsupportedRequestError } from '../errors.ts'
import { createRecord } from './attestation.ts'
import type { FetchAttestation, PolarisFetch } from './attestation.ts'
import { createClock } from './clock.ts'
import { attestedKeys, optionsOf } from './keys/attested.ts'
import { canStreamTo, discard, readRequest } from './request/body.ts'
import type { RequestBody } from './request/body.ts'
import { cached, chooseKey, fetchKeys } from './keys/published.ts'
import type { KeySource, PostQuantum, ProxyAddress, Reloadable } from './keys/published.ts'
import type { EncryptionKey } from '../ohttp/hpke-sender.ts'
import { GATEWAY_PATH, checkOptions } from './options.ts'
import type { PolarisFetchOptions } from './options.ts'
import { platformFetch } from './platform.ts'
import { createOhttpTransport } from './transport/ohttp.ts'
import { createV1Transport, v1Keys } from './transport/polaris-v1.ts'
import { follow } from './request/redirects.ts'
import { toResponse } from './response/response.ts'
import { abortable } from './streams.ts'
import { locate, parseBase } from './request/target.ts'
import type { Base } from './request/target.ts'
import { canPin, createTlsConnection, prover } from './transport/tls.ts'
import type { Transport } from './transport/transport.ts'

/**
 * Makes a fetch for one proxy.
 *
 * It takes what fetch takes, and gives what fetch gives. Its member `attestation` tells what was proven about its keys.
 * URLs have to be below baseURL; relative ones are relative to it. Of a request's options, those that concern a
 * browser's own cache, cookies, referrer and CORS have no effect.
 *
 * The fetch throws PolarisFetchError, UnsupportedRequestError, what `attestation` or `keys` throws, or the reason of
 * the signal.
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
export function createPolarisFetch (options: PolarisFetchOptions): PolarisFetch {
  checkOptions(options)
  const base = parseBase(options.baseURL)
  const { fetch = platformFetch(options.dispatcher), gatewayPath = GATEWAY_PATH } = options
  const baseURL = base.origin + base.prefix
  const proxy = { baseURL, gatewayURL: baseURL + gatewayPath, fetch }
  const { name, transport, canStream, attestation } = createProtocol(options, proxy, base)

  const polarisFetch: typeof globalThis.fetch = async (input, init) => {
    const target = locate(base, isRequest(input) ? input.url : String(input))
    const { request, method, body } = readRequest(isRequest(input) ? input : target.url, init)
    const { headers, signal, redirect, integrity } = request
    if (integrity !== '') {
      throw new UnsupportedRequestError('integrity is not checked by this fetch: check the digest of the body yourself')
    }
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
  return Object.defineProperties(polarisFetch, {
    attestation: { value: attestation, enumerable: true }, transport: { value: name, enumerable: true }
  }) as PolarisFetch
}

/**
 * Another frame's Request is one, too. So is another library's, which the platform then refuses as its own fetch does.
 */
function isRequest (input: unknown): input is Request {
  return Object.prototype.toString.call(input) === '[object Request]'
}

interface Protocol {
  readonly name: PolarisFetch['transport']
  readonly transport: Transport
  /** Whether request bodies can be streamed. */
  canStream (): Promise<boolean>
  readonly attestation: FetchAttestation | undefined
}

function createProtocol (options: PolarisFetchOptions, proxy: ProxyAddress, base: Base): Protocol {
  const { protocol, attestation, postQuantum = 'prefer', streamRequests, keyHandler } = options
  const clock = createClock(options.clock === 'gateway')
  const record = attestation && createRecord(optionsOf(attestation).onRenewalFailure)
  const proven = attestation && record && attestedKeys(attestation, clock, record)
  const source = proven ?? options.keys
  const view = (keys: Pick<Reloadable<unknown>, 'get' | 'reload'>) => record?.view(async ({ fresh = false } = {}) => {
    await (fresh ? keys.reload() : keys.get())
    const { verdict } = record
    if (verdict === undefined) throw new Error('Keys were proven without a verdict')
    return verdict
  })
  if (options.transport === 'tls' && canPin() && record !== undefined && proven !== undefined) {
    const { transport, verify } = createTlsConnection(base, prover(proven, record, proxy.baseURL, proxy.fetch))
    return {
      name: 'tls',
      transport,
      canStream: async () => streamRequests ?? true,
      attestation: view({
        async get () { await verify(false) }, async reload () { await verify(true) }
      })
    }
  }
  if (protocol === 'polaris-v1') {
    const keys = v1Keys(proxy, source)
    return {
      name: 'polaris-v1',
      transport: createV1Transport({ proxy, keys, keyHandler }),
      canStream: async () => false,
      attestation: view(keys)
    }
  }
  const keys = ohttpKeys(proxy, source ?? fetchKeys, postQuantum)
  return {
    name: 'ohttp',
    transport: createOhttpTransport({ ...proxy, keys, clock }),
    canStream: async () => streamRequests ?? canStreamTo(proxy.gatewayURL, () => keys.get()),
    attestation: view(keys)
  }
}

function ohttpKeys (proxy: ProxyAddress, load: KeySource, postQuantum: PostQuantum): Reloadable<EncryptionKey> {
  return cached(async fresh => {
    const { octets, maxAge } = await load(proxy, 'ohttp-keys', { fresh })
    return { key: await chooseKey(octets, postQuantum), maxAge }
  }, load !== fetchKeys)
}
