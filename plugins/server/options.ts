/** What the Fastify server needs to be told before any plugin runs. `fastify start --options` takes them from app.ts. */
import { randomUUID } from 'node:crypto'
import { STATUS_CODES } from 'node:http'
import type { Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { LogController } from 'fastify'
import type { FastifyHttpOptions } from 'fastify'
import { PROBLEM_MEDIA_TYPE, Problem } from '../../lib/http/problems.ts'
import type { ProblemCode } from '../../lib/http/problems.ts'
import { withoutAuthority } from '../../lib/http/target.ts'

/** v1 puts a message per header part into headers: room for those, and for large tokens within them. */
const MAX_HEADER_BYTES = 64 * 1024

export const serverOptions = {
  genReqId: () => randomUUID(),
  // Request lines hold targets, which in clear modes are the client's own affair: they are not logged.
  logController: new LogController({ disableRequestLogging: true }),
  // The schemas of our endpoints are constants: checking them against the meta-schema at every start takes longer than they do.
  ajv: { customOptions: { validateSchema: false } },
  // What still arrives while stopping is served; /readyz says no.
  return503OnClosing: false,
  // Header blocks must arrive within this; bodies may take as long as they keep coming (CLIENT_IDLE_TIMEOUT).
  requestTimeout: 0,
  // A request without Host is refused by plugins/server/http-semantics.ts: Node's own refusal says nothing.
  http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 60_000, requireHostHeader: false },
  // The router would refuse targets that do not decode, such as /%zz. They are for the workload to judge.
  rewriteUrl ({ url = '/' }) {
    const target = withoutAuthority(url)
    return isRoutable(target) ? target : '/'
  },
  // What the parser refuses never becomes a request, and is answered with the same problems. Its error holds what was
  // sent, and is not logged.
  clientErrorHandler ({ code }, socket) {
    if (code === 'ECONNRESET' || socket.destroyed) return
    answerWithout(socket, new Problem(parserProblems.get(code) ?? 'bad-request'))
  }
} satisfies FastifyHttpOptions<Server>

const parserProblems = new Map<string, ProblemCode>([
  ['HPE_HEADER_OVERFLOW', 'headers-too-large'], ['ERR_HTTP_REQUEST_TIMEOUT', 'client-timeout']
])

/**
 * Ends a connection with a problem, where there is no response object to send it with. Where something was sent
 * already it just ends: a client must not take this for the rest of another answer.
 */
export function answerWithout (socket: Duplex & { readonly bytesWritten?: number }, problem: Problem): void {
  if (!socket.writable || socket.bytesWritten !== 0) {
    socket.destroy()
    return
  }
  const body = problem.body(randomUUID())
  socket.end([
    `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}`,
    `content-type: ${PROBLEM_MEDIA_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'connection: close',
    '', body
  ].join('\r\n'), () => socket.destroy())
}

function isRoutable (url: string): boolean {
  if (!url.startsWith('/')) return false
  // The path alone decides: what is in the query keeps no system endpoint from answering.
  const [path = ''] = url.split('?', 1)
  if (!path.includes('%')) return true
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
