/** The axios response interceptor: opens responses, also those with an error status. */
import { MessageError } from '../../../lib/protocols/polaris-v1.ts'
import { ProxyError, PublicKeyChangedError, ResponseError, StatusError } from '../../errors.ts'
import { isArrayBuffer, toBuffer, toOctets, toText } from '../octets.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { recall } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import type { AxiosConfigLike, AxiosResponseLike, MessageCrypto } from './types.ts'

export interface CreateAxiosResponseInterceptorParams {
  polarisSDK: Pick<MessageCrypto, 'decrypt'>
}

type Transform = (this: AxiosConfigLike, data: unknown, headers: unknown, status: number) => unknown

/**
 * Goes with createAxiosRequestInterceptor, as the first argument of `interceptors.response.use`; no second one is
 * needed. Responses come out as if axios had received them unencrypted: with the caller's `responseType`,
 * `transformResponse` and `validateStatus`, and with the caller's config.
 *
 * @example
 * ```ts
 * import axios from 'axios'
 * import {
 *   EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
 * } from '@polaris-secure-proxy/sdk'
 *
 * const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
 * const client = axios.create({ baseURL: 'https://proxy.example' })
 * client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
 * client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
 * const { status } = await client.get('/missing', { validateStatus: () => true })
 * console.log(status)
 * ```
 *
 * @throws {StatusError} the workload's status is refused by `validateStatus`
 * @throws {ProxyError} not the workload, but the proxy or something in front of it, answered with an error
 * @throws {PublicKeyChangedError} the proxy refused the request and has another key by now
 * @throws {ResponseError} the response cannot be opened
 */
export function createAxiosResponseInterceptor (
  { polarisSDK }: CreateAxiosResponseInterceptorParams
): <R extends AxiosResponseLike>(response: R) => Promise<R> {
  /** @returns undefined if the body is not a message, so that an attacker on the way must have written it */
  async function open (sealed: Bytes): Promise<Bytes | undefined> {
    try {
      return await polarisSDK.decrypt(new TextDecoder().decode(sealed))
    } catch (error) {
      if (error instanceof MessageError && error.cause === undefined) return undefined
      throw error
    }
  }

  return async <R extends AxiosResponseLike>(response: R): Promise<R> => {
    const exchange = recall(response.config)
    if (!exchange) return response
    if (!exchange.sealedResponse) return response

    const { data } = response
    const body = isArrayBuffer(data) || ArrayBuffer.isView(data) || typeof data === 'string'
      ? toOctets(data)
      : new Uint8Array(0)
    // Nothing is sealed of nothing: HEAD, 204, 304.
    if (body.length === 0) return settle(present(response, body))

    let plaintext: Bytes | undefined
    try {
      plaintext = await open(body)
    } catch (cause) {
      throw unreadable(response, cause)
    }
    if (plaintext) return settle(present(response, plaintext))
    if (response.status < 400) throw unreadable(response)
    response.data = readable(body)
    throw await refusal(response, exchange)
  }

  function unreadable (response: AxiosResponseLike, cause?: unknown): ResponseError {
    response.data = undefined
    const message = 'The response is not sealed to this client or was changed on the way. If the proxy does not seal ' +
      'responses, set enableOutputEncryption: false'
    return new ResponseError(message, response, { cause })
  }
}

/** An unencrypted answer with an error status. A proxy that could not open the request may have changed its key. */
async function refusal (response: AxiosResponseLike, { keyChanged }: Exchange): Promise<ProxyError> {
  const error = new ProxyError(
    `The proxy, or something in front of it, answered with status ${response.status}: see response.data`, response
  )
  if (response.status !== 400) return error
  const changed = await keyChanged().catch(() => false)
  return changed
    ? new PublicKeyChangedError(
      'The proxy has a new public key and could not open the request: send it again', response, { cause: error }
    )
    : error
}

/**
 * Problem details (RFC 9457) as an object, anything else as text: the caller's transforms are for the workload's
 * responses.
 */
function readable (octets: Bytes): unknown {
  const text = toText(octets)
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

/** Makes of bytes what the caller asked for, as axios's adapters and `transformResponse` do. */
function present <R extends AxiosResponseLike> (response: R, octets: Bytes): R {
  const { config, headers, status } = response
  const transforms = [config.transformResponse ?? []].flat() as Transform[]
  let data = represent(response, octets)
  for (const transform of transforms) {
    data = transform.call({ ...config, response } as AxiosConfigLike, data, headers, status)
  }
  response.data = data
  return response
}

function represent (
  { config: { responseType, responseEncoding }, headers, data }: AxiosResponseLike, octets: Bytes
): unknown {
  if (responseType === 'arraybuffer') {
    // Node's adapter gives a Buffer, the others an ArrayBuffer.
    return isArrayBuffer(data) ? octets.slice().buffer : toBuffer(octets)
  }
  if (responseType === 'blob') return new Blob([octets], { type: contentType(headers) })
  return toText(octets, responseEncoding)
}

function contentType (headers: unknown): string {
  const type = (headers as { get?: (name: string) => unknown }).get?.('content-type')
  return typeof type === 'string' ? type : ''
}

function settle <R extends AxiosResponseLike> (response: R): R {
  const { config: { validateStatus }, status } = response
  if (!validateStatus || validateStatus(status)) return response
  throw new StatusError(response)
}
