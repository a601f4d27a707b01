/**
 * Requests and responses over the legacy protocol, for proxies that speak nothing newer. Everything is held in memory;
 * the method and the length of the body, and the status and the headers of the response, are unencrypted.
 */
import { encodeBase64 } from '../../../lib/protocols/base64.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { MessageError } from '../../../lib/protocols/polaris-v1.ts'
import { EphemeralKeyHandler } from '../../polaris-v1/key-handler.ts'
import type { KeyHandler } from '../../polaris-v1/key-handler.ts'
import { toOctets } from '../../polaris-v1/octets.ts'
import { PolarisSDK } from '../../polaris-v1/polaris-sdk.ts'
import { fetchPublicKey } from '../../polaris-v1/public-keys.ts'
import { refusal } from '../response/refusal.ts'
import { bodyError } from '../request/body.ts'
import type { RequestBody } from '../request/body.ts'
import { isKnownCoding } from '../response/codings.ts'
import { GatewayRefusalError, PolarisFetchError, connectionError } from '../errors.ts'
import { cached } from '../keys/published.ts'
import type { Cached, KeySource, ProxyAddress, Reloadable } from '../keys/published.ts'
import { collect } from '../../collect.ts'
import { abortable } from '../streams.ts'
import { endToEnd, isBodiless } from './transport.ts'
import type { PlainRequest, Transport } from './transport.ts'

export interface V1TransportOptions {
  readonly proxy: ProxyAddress
  readonly keys: Cached<string>
  readonly keyHandler: KeyHandler | undefined
}

/** The proxy's key, PEM; without a source, as the proxy publishes it. */
export function v1Keys (proxy: ProxyAddress, source: KeySource | undefined): Reloadable<string> {
  return cached(async fresh => {
    if (source === undefined) {
      return { key: await fetchPublicKey(`${proxy.baseURL}/`, proxy.fetch, fresh), maxAge: Infinity }
    }
    const { octets, maxAge } = await source(proxy, 'polaris-v1-spki', { fresh })
    return { key: `-----BEGIN PUBLIC KEY-----\n${encodeBase64(octets)}\n-----END PUBLIC KEY-----\n`, maxAge }
  }, source !== undefined)
}

export function createV1Transport (
  { proxy, keys, keyHandler = new EphemeralKeyHandler() }: V1TransportOptions
): Transport {
  const sdk = new PolarisSDK(keyHandler)
  const { fetch } = proxy
  const url = `${proxy.baseURL}/`

  return async request => {
    const { signal } = request
    const key = await abortable(() => keys.get(), signal)
    const sentAt = new Date()
    const response = await post(request, await abortable(() => seal(request, key), signal))
    const { status } = response
    if (response.type === 'opaqueredirect') {
      throw new PolarisFetchError(
        'ERR_POLARIS_REDIRECT', 'Browsers do not show where a redirect of this protocol leads: use protocol: \'ohttp\''
      )
    }
    const sealed = await readAll(response.body, signal)
    const plaintext = await open(sealed, status)
    if (plaintext === undefined) throw await refused(new Response(sealed, response), key, sentAt)
    const headers = new Headers(response.headers)
    // The proxy has undone those that it knows. Something on the way may have encoded the sealed message; that is
    // undone here.
    if (isKnownCoding(headers.get('content-encoding') ?? '')) headers.delete('content-encoding')
    if (headers.has('content-length') && request.method !== 'HEAD') {
      headers.set('content-length', String(plaintext.length))
    }
    return {
      status,
      headers,
      body: isBodiless(request.method, status) ? null : new Blob([plaintext]).stream() as ReadableStream<Bytes>
    }
  }

  /** Everything into messages; the workload's own headers are only inside. */
  async function seal (
    { target, headers, body, signal }: PlainRequest, key: string
  ): Promise<Pick<RequestInit, 'headers' | 'body'>> {
    const message = async (data: string) => encodeBase64(await sdk.encrypt(data, key))
    const bound = {
      'polaris-url': await message(target.path),
      'polaris-response-public-key': encodeBase64(toOctets(await sdk.getPublicKey()))
    }
    const content = body && await wholeBody(body, signal)
    return {
      headers: {
        ...bound,
        'polaris-secure': await message(JSON.stringify({ ...Object.fromEntries(endToEnd(headers)), ...bound })),
        ...content && { 'content-type': 'application/octet-stream' }
      },
      body: content ? await sdk.encrypt(content, key) as Bytes : null
    }
  }

  async function post (
    { method, signal }: PlainRequest, sealed: Pick<RequestInit, 'headers' | 'body'>
  ): Promise<Response> {
    try {
      return await fetch(url, {
        ...sealed,
        method,
        signal,
        cache: 'no-store',
        credentials: 'omit',
        redirect: 'manual',
        referrerPolicy: 'no-referrer'
      } as RequestInit)
    } catch (cause) {
      signal.throwIfAborted()
      throw connectionError(url, cause)
    }
  }

  /** Undefined where it is not the proxy that speaks for the workload. */
  async function open (sealed: Bytes, status: number): Promise<Bytes | undefined> {
    // Nothing is sealed of nothing: HEAD, 204, 304.
    if (sealed.length === 0) return sealed
    try {
      return toOctets(await sdk.decrypt(new TextDecoder().decode(sealed)))
    } catch (cause) {
      if (cause instanceof MessageError && cause.cause === undefined && status >= 400) return undefined
      throw new PolarisFetchError(
        'ERR_POLARIS_RESPONSE',
        'The response is not sealed to this client, or was changed on the way. If the proxy does not seal responses, ' +
          'set POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION=true there',
        { cause }
      )
    }
  }

  /** This protocol has one answer to all that cannot be opened. Where there is a new key, that was the reason. */
  async function refused (response: Response, key: string, sentAt: Date): Promise<PolarisFetchError> {
    const error = await refusal(response, sentAt)
    if (!(error instanceof GatewayRefusalError) || error.status !== 400) return error
    const renewed = await keys.renew(key).catch(() => key)
    return renewed === key
      ? error
      : new GatewayRefusalError(
        'ERR_POLARIS_KEY_REFUSED', 'The proxy has a new key and could not open the request: send it again', error
      )
  }
}

async function readAll (body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<Bytes> {
  try {
    return (body && await collect(body)) ?? new Uint8Array(0)
  } catch (cause) {
    signal.throwIfAborted()
    throw new PolarisFetchError(
      'ERR_POLARIS_INCOMPLETE', 'The response broke off before its end. The request was processed, at least in part',
      { cause }
    )
  }
}

async function wholeBody (body: RequestBody, signal: AbortSignal): Promise<Bytes | undefined> {
  if ('bytes' in body) return body.bytes
  try {
    return await collect(body.open(signal))
  } catch (cause) {
    signal.throwIfAborted()
    throw bodyError(cause)
  }
}
