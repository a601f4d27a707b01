/** Requests and responses as they are, over connections whose key is proven. */
import { Readable } from 'node:stream'
import type { ReadableStream as NodeStream } from 'node:stream/web'
import type { Dispatcher } from 'undici'
import type { Field } from '../../lib/protocols/bhttp/bhttp.ts'
import type { Bytes } from '../../lib/protocols/bytes.ts'
import { UnsupportedRequestError } from '../errors.ts'
import { PolarisFetchError, connectionError } from '../fetch/errors.ts'
import { bodyError } from '../fetch/request/body.ts'
import type { RequestBody } from '../fetch/request/body.ts'
import { withErrors } from '../fetch/streams.ts'
import { endToEnd, isBodiless } from '../fetch/transport/transport.ts'
import type { PlainRequest } from '../fetch/transport/transport.ts'
import type { OhttpResponse } from '../fetch/transport/ohttp.ts'
import type { Pinned } from './pinned.ts'

/** @param base of the proxy: origin, and the path that it is mounted at */
export function createTlsTransport (
  pinned: Pick<Pinned, 'dispatcher'>, base: { origin: string, prefix: string }
): (request: PlainRequest) => Promise<OhttpResponse> {
  return async ({ target, method, headers, body, signal }) => {
    if (!target.path.startsWith('/')) throw new UnsupportedRequestError('OPTIONS * is about a server, not the workload')
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
        responseHeaders: 'raw',
        signal
      })
    } catch (cause) {
      signal.throwIfAborted()
      if (failure !== undefined) throw bodyError(failure.cause)
      if (isOurs(cause)) throw cause
      if (codeOf(cause) === 'UND_ERR_INVALID_ARG') throw new UnsupportedRequestError((cause as Error).message)
      throw connectionError(target.url, cause)
    }
    const { statusCode: status, body: stream } = response
    const fields = fieldsOf(response)
    if (isBodiless(method, status)) await stream.dump()
    return {
      status,
      headers: headersOf(fields),
      fields,
      get trailers () { return trailersOf(response) },
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
  return /^ERR_(?:POLARIS|ATTESTATION)/.test(codeOf(error))
}

function codeOf (error: unknown): string {
  return error instanceof Error ? String((error as { code?: unknown }).code) : ''
}

function contentOf (
  body: RequestBody, signal: AbortSignal, onFailure: (cause: unknown) => void
): Uint8Array | Readable {
  if ('bytes' in body) return body.bytes
  return Readable.fromWeb(body.open(signal) as NodeStream).on('error', onFailure)
}

/** As the option `responseHeaders` has them: name, value, name, … */
function fieldsOf ({ headers }: Dispatcher.ResponseData): Field[] {
  const raw = headers as unknown as readonly string[]
  return Array.from({ length: raw.length / 2 }, (_, i): Field => [raw[2 * i]!.toLowerCase(), raw[2 * i + 1]!])
}

function headersOf (fields: readonly Field[]): Headers {
  const kept = new Headers()
  for (const [name, value] of fields) kept.append(name, value)
  return kept
}

/** Complete once the body has ended. */
function trailersOf ({ trailers }: Dispatcher.ResponseData): Field[] {
  return Object.entries(trailers as Record<string, string | string[]>)
    .flatMap(([name, values]) => [values].flat().map((value): Field => [name, value]))
}
