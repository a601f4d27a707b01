/** One request to a service for keys or evidence, over TCP, TLS or a Unix socket, with bounds on time and size. */
import { request as requestHttp } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { RequestOptions } from 'node:https'
import { connectionError, RemoteError } from './error.ts'
import { readBounded, TooLongError } from './read-bounded.ts'

export interface JsonEndpoint {
  /** For messages: 'The launcher'. */
  readonly name: string
  /** URL of the resource, http or https; its host is ignored if there is a socketPath. */
  readonly url: URL
  readonly socketPath?: string | undefined
  /**
   * `inner` services are part of the TEE. They are reached directly, whatever the environment says of forward proxies:
   * what they are sent and answer is for no one else. `public` ones follow Node's own rules.
   */
  readonly reach: 'inner' | 'public'
  /** Milliseconds for the exchange as a whole. */
  readonly timeoutMs: number
  /** The longest answer. Default: 256 KiB. */
  readonly maxBytes?: number
  /** Certificates, PEM, of the authorities that its own is verified with. Default: those that Node trusts. */
  readonly ca?: string | undefined
}

export interface JsonAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The caller may overwrite it. */
  readonly body: Buffer
}

/** Tokens have a few kilobytes; reports with their endorsements some tens. */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * POSTs JSON and reads the answer. Redirections are answers like any other.
 *
 * @returns status and body, whatever they are
 * @throws {RemoteError} no answer, an incomplete one, one that is too long or too late; not transient if the
 * certificate of the service is not accepted
 */
export function postJson (endpoint: JsonEndpoint, body: unknown, signal?: AbortSignal): Promise<JsonAnswer> {
  const payload = JSON.stringify(body)
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }
  return exchange(endpoint, { method: 'POST', headers }, payload, signal)
}

/** GETs JSON, otherwise as `postJson`. @throws {RemoteError} */
export function getJson (endpoint: JsonEndpoint, signal?: AbortSignal): Promise<JsonAnswer> {
  return exchange(endpoint, { method: 'GET', headers: { accept: 'application/json' } }, '', signal)
}

/** Sends a request of any method and media type, otherwise as `postJson`. @throws {RemoteError} */
export async function exchange (
  endpoint: JsonEndpoint, request: RequestOptions, payload: string, signal?: AbortSignal
): Promise<JsonAnswer> {
  const { name, url, socketPath, reach, timeoutMs, maxBytes = MAX_ANSWER_BYTES, ca } = endpoint
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    const response = await send(url, {
      ...request,
      // An agent of its own has no forward proxy, and no connection is kept.
      ...reach === 'inner' && { agent: false },
      ...ca !== undefined && { ca },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      ...socketPath !== undefined && { socketPath }
    }, payload)
    const { statusCode: status = 0, headers } = response
    return { status, headers, body: await readBounded(response as AsyncIterable<Buffer>, maxBytes) }
  } catch (cause) {
    if (deadline.aborted) {
      throw new RemoteError('transient', `${name} did not answer in time`, {
        cause, providerCode: 'TIMEOUT', advice: 'Check that it is not overloaded, and the network on the way to it'
      })
    }
    if (cause instanceof TooLongError) {
      throw new RemoteError('transient', `${name} sent an answer that is too long`, {
        cause, providerCode: cause.code, advice: 'Check that the configured endpoint is that of the service'
      })
    }
    throw connectionError(name, cause)
  }
}

function send (url: URL, options: RequestOptions, payload: string): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end(payload)
  })
}
