/** One JSON request to a service that attests, over TCP, TLS or a Unix socket, with bounds on time and size. */
import { request as requestHttp } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { RequestOptions } from 'node:https'
import { AttesterError } from '../attestation/attester.ts'

export interface AttestationEndpoint {
  /** For messages: 'The launcher'. */
  readonly name: string
  /** URL of the resource, http or https; its host is ignored where there is a socketPath. */
  readonly url: URL
  readonly socketPath?: string | undefined
  /** For the exchange as a whole. */
  readonly timeoutMs: number
}

export interface JsonAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Tokens have a few kilobytes; reports with their endorsements some tens. */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * @returns status and body, whatever they are
 * @throws {AttesterError} no answer, an incomplete one, one that is too long or too late; not transient where the
 * certificate of the service is not accepted
 */
export async function postJson (endpoint: AttestationEndpoint, body: unknown, signal?: AbortSignal): Promise<JsonAnswer> {
  const { name, url, socketPath, timeoutMs } = endpoint
  const deadline = AbortSignal.timeout(timeoutMs)
  const payload = JSON.stringify(body)
  try {
    const response = await send(url, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      ...socketPath !== undefined && { socketPath }
    }, payload)
    return { status: response.statusCode ?? 0, headers: response.headers, text: await collect(response) }
  } catch (cause) {
    if (deadline.aborted) throw new AttesterError(`${name} did not answer in time`, { cause, transient: true, providerCode: 'TIMEOUT' })
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    throw new AttesterError(`${name} cannot be asked: ${code}`, { cause, transient: !/CERT|TLS|SSL|UNABLE_TO/.test(code), providerCode: code })
  }
}

function send (url: URL, options: RequestOptions, payload: string): Promise<IncomingMessage> {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return new Promise((resolve, reject) => {
    request(url, options, resolve).on('error', reject).end(payload)
  })
}

async function collect (response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw Object.assign(new Error('The answer is too long'), { code: 'ERR_TOO_LONG' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
