/**
 * The listener for operators of the proxy: its numbers, and whether it is alive and ready. It has an address of its
 * own, and nothing that is on the public one. Without Fastify: with workers it is the process that started them which
 * listens.
 */
import { once } from 'node:events'
import { lstat, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { Server, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { ConfigError } from '../config/config.ts'
import { parseListenAddress } from '../config/settings/listen-address.ts'
import { settings } from '../config/settings.ts'
import type { Report } from '../metrics/report.ts'
import { PAGE_MEDIA_TYPE, pageOf } from './page.ts'

export interface Admin {
  /** Where it listens: as the setting is written, with the port that it has. */
  readonly address: string
  close (): Promise<void>
}

/** Scrapers and probes are few. */
const MAX_CONNECTIONS = 64
const REQUEST_TIMEOUT_MS = 5000
const JSON_MEDIA_TYPE = 'application/json; charset=utf-8'

type Answer = readonly [status: number, mediaType: string, body: string]

/** @throws {ConfigError} the address cannot be listened on */
export async function startAdmin (address: string, report: () => Promise<Report>): Promise<Admin> {
  const target = parseListenAddress(address)
  if (target === undefined) throw new TypeError('Not an address to listen on')
  const endpoints: Readonly<Record<string, () => Promise<Answer>>> = {
    '/livez': async () => [200, JSON_MEDIA_TYPE, JSON.stringify({ status: 'ok' })],
    '/readyz': async () => {
      const { reasons } = await report()
      if (reasons.length === 0) return [200, JSON_MEDIA_TYPE, JSON.stringify({ status: 'ok' })]
      return [503, JSON_MEDIA_TYPE, JSON.stringify({ status: 'not ready', reasons })]
    },
    '/metrics': async () => [200, PAGE_MEDIA_TYPE, await pageOf((await report()).snapshot)]
  }
  const server = createServer({
    requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS
  }, (request, response) => {
    const [path = ''] = (request.url ?? '').split('?', 1)
    const endpoint = Object.hasOwn(endpoints, path) ? endpoints[path] : undefined
    if (endpoint === undefined) return answer(response, [404, 'text/plain', 'Not found\n'])
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return answer(response.setHeader('allow', 'GET, HEAD'), [405, 'text/plain', 'Method not allowed\n'])
    }
    endpoint().then(found => answer(response, found), () => answer(response, [500, 'text/plain', 'Failed\n']))
  })
  server.maxConnections = MAX_CONNECTIONS
  await listen(server, target)
  return {
    address: 'path' in target ? address : addressOf(server),
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}

function answer (response: ServerResponse, [status, mediaType, body]: Answer): void {
  response.writeHead(status, {
    'content-type': mediaType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff'
  }).end(body)
}

async function listen (server: Server, target: Parameters<Server['listen']>[0] & object): Promise<void> {
  try {
    await tryToListen(server, target)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const { path } = target as { path?: string }
    if (code === 'EADDRINUSE' && path !== undefined && await isLeft(path)) {
      // A process that was killed left it.
      await rm(path)
      return await tryToListen(server, target)
    }
    throw new ConfigError([`${settings.adminAddress.env} cannot be listened on (${code})`], { cause: error })
  }
}

async function tryToListen (server: Server, target: object): Promise<void> {
  server.listen({ ...target, exclusive: true })
  await once(server, 'listening')
}

/** Whether it is a socket without a listener. */
async function isLeft (path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false
  return await new Promise(resolve => {
    const socket = connect(path)
    const settle = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => settle(false))
    // Others are no proof: a listener that is busy answers EAGAIN, one that is another user's EACCES.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code === 'ECONNREFUSED'))
  })
}

function addressOf (server: Server): string {
  const { address, port, family } = server.address() as AddressInfo
  return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`
}
