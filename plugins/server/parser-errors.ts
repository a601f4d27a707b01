/**
 * Answers to what Node's parser refuses, which never becomes a request: the same problems, readable for pages as others
 * are.
 */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ConnectionError, FastifyInstance } from 'fastify'
import { PROBLEM_MEDIA_TYPE, Problem } from '../../lib/http/problems.ts'
import type { ProblemCode } from '../../lib/http/problems.ts'

const codes = new Map<string, ProblemCode>([
  ['HPE_HEADER_OVERFLOW', 'headers-too-large'], ['ERR_HTTP_REQUEST_TIMEOUT', 'client-timeout']
])

/** For the client to read the answer while it still sends. A connection closed over unread bytes would be reset. */
const LINGER = 5000

/** An origin that is allowed if all are: the serialisation of one that has no name. */
const UNKNOWN = 'null'

type HeadersFor = (origin: string) => Record<string, string>
const headersOf = new WeakMap<object, HeadersFor>()

/**
 * Has a server answer with these headers, too. Its plugins know them; what is asked by the server itself is no plugin.
 */
export function addToParserErrors (server: object, headers: HeadersFor): void {
  headersOf.set(server, headers)
}

const answered = new WeakSet<Duplex>()

/** Fastify's `clientErrorHandler`. The error holds what was sent, and is not logged. */
export function answerParserError (this: FastifyInstance, { code, rawPacket }: ConnectionError, socket: Duplex): void {
  // The parser refuses everything that follows, too.
  if (answered.has(socket)) return
  if (code === 'ECONNRESET' || socket.destroyed) {
    socket.destroy()
    return
  }
  answerWithout(
    socket, new Problem(codes.get(code ?? '') ?? 'bad-request'),
    headersOf.get(this.server)?.(originIn(rawPacket) ?? UNKNOWN)
  )
}

/** The Origin, if what was refused is far enough along to have one. */
function originIn (packet: unknown): string | undefined {
  const text = packet instanceof Uint8Array
    ? Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength).toString('latin1')
    : ''
  return /\r\norigin:[\t ]*([\x21-\x7e]+)[\t ]*\r\n/i.exec(text)?.[1]
}

/**
 * Ends a connection with a problem, when there is no response object to send it with. If something was sent already it
 * just ends: a client must not take this for the rest of another answer.
 */
export function answerWithout (
  socket: Duplex & { readonly bytesWritten?: number }, problem: Problem, headers: Readonly<Record<string, string>> = {}
): void {
  if (!socket.writable || socket.bytesWritten !== 0) {
    socket.destroy()
    return
  }
  answered.add(socket)
  const body = problem.body(randomUUID())
  const lines = Object.entries({
    date: new Date().toUTCString(),
    'content-type': PROBLEM_MEDIA_TYPE,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    connection: 'close',
    ...headers
  }).map(([name, value]) => `${name}: ${value}`)
  socket.on('error', () => socket.destroy())
  socket.end([`HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}`, ...lines, '', body].join('\r\n'))
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.once('close', () => clearTimeout(timer)).once('end', () => socket.destroy()).resume()
}
