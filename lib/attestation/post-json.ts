/** One JSON request to a service on this machine, over TCP or a Unix socket, with bounds on time and size. */
import { request } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { AttesterError } from './attester.ts'

export interface LocalService {
  /** For messages: 'The launcher'. */
  readonly name: string
  /** http URL of the resource; its host is ignored where there is a socketPath. */
  readonly url: URL
  readonly socketPath?: string | undefined
  /** For the exchange as a whole. */
  readonly timeoutMs: number
}

/** Tokens have a few kilobytes; reports with their endorsements some tens. */
const MAX_ANSWER_BYTES = 256 * 1024

/**
 * @returns status and body, whatever they are
 * @throws {AttesterError} transient: no answer, an incomplete one, one that is too long or too late
 */
export async function postJson (service: LocalService, body: unknown, signal?: AbortSignal): Promise<{ status: number, text: string }> {
  const deadline = AbortSignal.timeout(service.timeoutMs)
  const payload = JSON.stringify(body)
  try {
    const response = await send(service.url, {
      method: 'POST',
      agent: false,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      ...service.socketPath !== undefined && { socketPath: service.socketPath }
    }, payload)
    return { status: response.statusCode ?? 0, text: await collect(response) }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error'
    throw new AttesterError(deadline.aborted ? `${service.name} did not answer in time` : `${service.name} cannot be asked: ${code}`, { cause, transient: true })
  }
}

function send (url: URL, options: RequestOptions, payload: string): Promise<IncomingMessage> {
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
