/** WebSocket: a handshake that goes on over TLS with a proven key, and from then on bytes (RFC 6455). */
import { ServerResponse, request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Base } from '../../fetch/request/target.ts'
import { answerProblem } from '../exchange/answer.ts'
import { isEndpoint } from '../exchange/endpoints.ts'
import { pairs, requestFields, responseFields } from '../exchange/fields.ts'
import type { Guard } from '../exchange/guard.ts'
import { LocalProblem } from '../exchange/problems.ts'
import { targetOf } from '../exchange/target.ts'
import { join } from './join.ts'
import type { Tunnels } from './tunnels.ts'

export interface WebSocketOptions {
  readonly base: Base
  readonly guard: Guard
  readonly added: () => readonly Field[]
  readonly own: readonly Field[]
  readonly tunnels: Tunnels
}

/** Serves a request that asks for WebSocket, with its connection. @param head what came behind the request */
export type Upgrade = (request: IncomingMessage, client: Socket, head: Buffer) => Promise<void>

interface Answer {
  readonly response: IncomingMessage
  /** What came behind the answer; undefined if that is not to switch. */
  readonly head: Buffer | undefined
}

/** For the client to read an answer while it still sends. */
const LINGER_MS = 5000

/** A whole handshake, and no more. Other requests that ask to switch are served as if they did not. */
export function asksForWebSocket ({ method, httpVersion, headers }: IncomingMessage): boolean {
  return method === 'GET' && httpVersion === '1.1' && headers.upgrade?.trim().toLowerCase() === 'websocket' &&
    headers['sec-websocket-key'] !== undefined && headers['transfer-encoding'] === undefined &&
    (headers['content-length'] ?? '0') === '0'
}

export function createUpgrade ({ base, guard, added, own, tunnels }: WebSocketOptions): Upgrade {
  return (request, client, head) => {
    const response = responseFor(request, client)
    return tunnels.run(client, {
      application: 'http/1.1',
      async serve (connect) {
        const target = targetOf(request)
        guard(request, target)
        if (isEndpoint(target)) throw new LocalProblem('not-found', 'The local proxy itself has no WebSocket')
        const headers = requestFields(request, added())
        const remote = await connect()
        const answer = await ask(remote, client, target.path, headers)
        const fields = responseFields(pairs(answer.response.rawHeaders), { base, origin: target.origin, own })
        if (answer.head === undefined) return passOn(answer.response, response, fields)
        response.writeHead(101, [...fields, ['connection', 'Upgrade'], ['upgrade', 'websocket']].flat()).end()
        response.detachSocket(client)
        if (head.length > 0) client.unshift(head)
        if (answer.head.length > 0) remote.unshift(answer.head)
        return join(client, remote)
      },
      refuse (problem) {
        if (client.destroyed || response.headersSent) client.destroy()
        else answerProblem(response, problem, own)
      }
    })
  }

  /** @throws {LocalProblem} there is no answer */
  async function ask (remote: Socket, client: Socket, path: string, headers: readonly Field[]): Promise<Answer> {
    const fields: Field[] = [
      ['host', new URL(base.origin).host], ['connection', 'Upgrade'], ['upgrade', 'websocket'], ...headers
    ]
    const gone = () => remote.destroy()
    client.once('close', gone)
    try {
      return await answerTo(httpRequest({
        createConnection: () => remote, path: base.prefix + path, headers: fields.flat(), maxHeaderSize: 64 * 1024
      }))
    } catch (cause) {
      throw new LocalProblem('unreachable', 'The connection failed before there was an answer', {}, { cause })
    } finally {
      client.off('close', gone)
    }
  }
}

function answerTo (request: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.once('response', response => resolve({ response, head: undefined }))
    request.once('upgrade', (response, _socket, head) => resolve({ response, head }))
    request.end()
  })
}

/** An answer that is not to switch: it is the last one on this connection. */
async function passOn (
  answer: IncomingMessage, response: ServerResponse, fields: readonly Field[]
): Promise<string> {
  response.writeHead(answer.statusCode ?? 502, fields.flat())
  try {
    await pipeline(answer, response)
    return 'complete'
  } catch {
    return 'incomplete'
  }
}

/** As the server makes one for a request; but the connection ends with it. */
function responseFor (request: IncomingMessage, client: Socket): ServerResponse {
  const response = new ServerResponse(request)
  response.sendDate = false
  response.shouldKeepAlive = false
  response.assignSocket(client)
  const onDrain = () => { response.emit('drain') }
  client.on('drain', onDrain)
  response.once('finish', () => {
    client.off('drain', onDrain)
    if (response.statusCode === 101) return
    const timer = setTimeout(() => client.destroy(), LINGER_MS)
    client.once('close', () => clearTimeout(timer)).once('end', () => client.destroy()).resume().end()
  })
  return response
}
