/** Requests and responses as they are, over connections whose key is proven. */
import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import type { Dispatcher } from 'undici'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { PolarisFetchError, connectionError } from '../fetch/errors.ts'
import { bodyError } from '../fetch/request/body.ts'
import type { RequestBody } from '../fetch/request/body.ts'
import { withErrors } from '../fetch/streams.ts'
import { endToEnd, isBodiless } from '../fetch/transport/transport.ts'
import type { Transport } from '../fetch/transport/transport.ts'
import type { Pinned } from './pinned.ts'

/** @param base of the proxy: origin, and the path that it is mounted at */
export function createTlsTransport (pinned: Pinned, base: { origin: string, prefix: string }): Transport {
  return async ({ target, method, headers, body, signal }) => {
    let failure: { cause: unknown } | undefined
    const content = body && contentOf(body, signal, cause => { failure = { cause } })
    const length = body !== undefined && !('bytes' in body) && body.length !== undefined
      ? ['content-length', String(body.length)]
      : []
    let response: Dispatcher.ResponseData
    try {
      response = await pinned.dispatcher.request({
        origin: base.origin,
        path: base.prefix + target.path,
        method: method as Dispatcher.HttpMethod,
        headers: [...endToEnd(headers).flat(), ...length],
        body: content ?? null,
        signal
      })
    } catch (cause) {
      signal.throwIfAborted()
      if (failure !== undefined) throw bodyError(failure.cause)
      if (isOurs(cause)) throw cause
      throw connectionError(target.url, cause)
    }
    const { statusCode: status, body: stream } = response
    if (isBodiless(method, status)) await stream.dump()
    return {
      status,
      headers: headersOf(response),
      body: isBodiless(method, status)
        ? null
        : withErrors(Readable.toWeb(stream) as unknown as ReadableStream<Bytes>, cause => {
          if (signal.aborted) return signal.reason
          return new PolarisFetchError(
            'ERR_POLARIS_INCOMPLETE', 'The response broke off before its end. The request was processed, at least ' +
            'in part', { cause }
          )
        })
    }
  }
}

/** Errors of keys and of evidence, which say what to do. */
function isOurs (error: unknown): boolean {
  return error instanceof Error && /^ERR_(?:POLARIS|ATTESTATION)/.test(String((error as { code?: unknown }).code))
}

function contentOf (
  body: RequestBody, signal: AbortSignal, onFailure: (cause: unknown) => void
): Uint8Array | Readable {
  if ('bytes' in body) return body.bytes
  return Readable.fromWeb(body.open(signal) as NodeStream).on('error', onFailure)
}

function headersOf ({ headers }: Dispatcher.ResponseData): Headers {
  const kept = new Headers()
  for (const [name, values] of Object.entries(headers)) {
    for (const value of [values ?? []].flat()) kept.append(name, value)
  }
  return kept
}
