/** WebSocket's opening handshake (RFC 6455, section 4), as far as a proxy between the two has to judge it. */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { hasBody } from '../http/incoming.ts'
import type { ResponseHeaders } from '../http/headers.ts'

/** Section 1.3: what makes of a client's key the answer to it. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Whether a request asks for a WebSocket and for nothing else. Node has seen to it that `connection` says so, too. */
export function asksForWebSocket (
  { method, httpVersion, headers }: Pick<IncomingMessage, 'method' | 'httpVersion' | 'headers'>
): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.trim().toLowerCase() === 'websocket' &&
    !hasBody({ headers })
}

/**
 * Whether a 101 answers this handshake: a workload that switches to something else, or to an answer for another client,
 * gets no tunnel.
 *
 * @param keys each `sec-websocket-key` of the request, which has one
 */
export function acceptsWebSocket (answer: ResponseHeaders, [key, ...others]: readonly string[]): boolean {
  const { upgrade, 'sec-websocket-accept': accept } = answer
  if (key === undefined || others.length > 0) return false
  if (typeof upgrade !== 'string' || upgrade.trim().toLowerCase() !== 'websocket') return false
  return accept === createHash('sha1').update(key.trim() + ACCEPT_SUFFIX).digest('base64')
}
