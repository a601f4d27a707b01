/**
 * What the Fastify server needs to be told before any plugin runs. `fastify start --options` takes them from app.ts.
 */
import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { LogController } from 'fastify'
import type { FastifyHttpOptions } from 'fastify'
import { withoutAuthority } from '../../lib/http/target.ts'
import { answerParserError } from './parser-errors.ts'

/** v1 puts a message per header part into headers: room for those, and for large tokens within them. */
export const MAX_HEADER_BYTES = 64 * 1024

export const serverOptions = {
  genReqId: () => randomUUID(),
  // Request lines hold targets, which in unencrypted modes are the client's own affair: they are not logged.
  logController: new LogController({ disableRequestLogging: true }),
  // The schemas of our endpoints are constants: checking them against the meta-schema at every start takes longer than
  // they do.
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
  clientErrorHandler: answerParserError
} satisfies FastifyHttpOptions<Server>

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
