/** What the Fastify server needs to be told before any plugin runs. `fastify start --options` takes them from app.ts. */
import { randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { LogController } from 'fastify'
import type { FastifyHttpOptions } from 'fastify'

/** v1 puts a message per header part into headers: room for those, and for large tokens within them. */
const MAX_HEADER_BYTES = 64 * 1024

export const serverOptions = {
  genReqId: () => randomUUID(),
  // Request lines hold targets, which in clear modes are the client's own affair: they are not logged.
  logController: new LogController({ disableRequestLogging: true }),
  // What still arrives while stopping is served; /readyz says no.
  return503OnClosing: false,
  // Header blocks must arrive within this; bodies may take as long as they keep coming (CLIENT_IDLE_TIMEOUT).
  requestTimeout: 0,
  http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: 60_000 },
  // The router would refuse targets that do not decode, such as /%zz. They are for the workload to judge.
  rewriteUrl: ({ url = '/' }) => isRoutable(url) ? url : '/'
} satisfies FastifyHttpOptions<Server>

function isRoutable (url: string): boolean {
  if (!url.startsWith('/')) return false
  if (!url.includes('%')) return true
  try {
    decodeURIComponent(url)
    return true
  } catch {
    return false
  }
}
