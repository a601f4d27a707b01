/** The server that programs connect to: HTTP/1.1 over TCP, TLS or a Unix domain socket. */
import { once } from 'node:events'
import { lstatSync, unlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, isIPv6 } from 'node:net'
import type { Socket } from 'node:net'
import { UsageError } from '../../cli/status.ts'
import type { Handler } from '../exchange/handler.ts'
import { divertHttp2 } from '../tunnel/http2.ts'
import type { ServeHttp2 } from '../tunnel/http2.ts'
import { asksForWebSocket } from '../tunnel/websocket.ts'
import type { Upgrade } from '../tunnel/websocket.ts'
import type { ListenAddress } from './address.ts'
import type { RenewedCertificate } from './tls.ts'

/** Bodies may take as long as they need; a head and an idle connection may not. */
const OPTIONS: ServerOptions = {
  maxHeaderSize: 64 * 1024,
  headersTimeout: 60_000,
  requestTimeout: 0,
  keepAliveTimeout: 60_000,
  keepAlive: true,
  noDelay: true
}
/** Of `sockaddr_un` on macOS; Linux takes 107. */
const MAX_SOCKET_PATH = 103
/** For its owner alone. */
const SOCKET_UMASK = 0o177

export interface Listener {
  /** What to call it: a URL, or the path of a socket. */
  readonly address: string
  /** Takes no new connections. Resolves once everything in flight has ended. */
  stop (): Promise<void>
}

/** What connections are served with. */
export interface Services {
  readonly handler: Handler
  readonly upgrade: Upgrade
  /** Without TLS only: with it, pages could come here, and nothing would check their Host and Origin. */
  readonly http2: ServeHttp2
}

/** @throws {UsageError} the address is in use, or may not be used */
export async function listen (
  address: ListenAddress, { handler, upgrade, http2 }: Services, certificate?: RenewedCertificate
): Promise<Listener> {
  const options = { ...OPTIONS, shouldUpgradeCallback: asksForWebSocket }
  const server = certificate === undefined
    ? createServer(options)
    : createTlsServer({ ...options, ...certificate.current, ALPNProtocols: ['http/1.1'] })
  // Without it, Node takes every Upgrade for one that was agreed on, also those that HTTP clients send by themselves.
  if ('shouldUpgradeCallback' in server) server.on('upgrade', upgrade)
  const closeUndecided = certificate === undefined ? divertHttp2(server, http2) : () => {}
  if (certificate !== undefined && 'setSecureContext' in server) {
    // Before TLS takes the connection, so that the first one after a renewal has the new certificate.
    server.prependListener('connection', () => {
      const renewed = certificate.renewed()
      if (renewed !== undefined) server.setSecureContext(renewed)
    })
  }
  const inFlight = new Set<ServerResponse>()
  const closeIfIdle = () => { if (!server.listening && inFlight.size === 0) server.closeAllConnections() }
  const handle = (expects: Parameters<Handler>[2]) => (request: IncomingMessage, response: ServerResponse) => {
    inFlight.add(response)
    response.once('close', () => {
      inFlight.delete(response)
      closeIfIdle()
    })
    return handler(request, response, expects)
  }
  server.on('request', handle('nothing')).on('checkContinue', handle('continue')).on(
    'checkExpectation', handle('unknown')
  )
  server.on('connect', refuseTunnel)
  try {
    await ('path' in address ? listenOnSocket(server, address.path) : listening(server.listen(address)))
  } catch (error) {
    if (error instanceof UsageError) throw error
    const where = 'path' in address ? address.path : `${address.host}:${address.port}`
    throw new UsageError(
      `cannot listen on ${where}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
  return {
    address: 'path' in address ? address.path : urlOf(server, certificate !== undefined),
    async stop () {
      const closed = once(server, 'close')
      server.close()
      closeUndecided()
      closeIfIdle()
      await closed
    }
  }
}

async function listening (server: Server): Promise<void> {
  await once(server, 'listening')
}

/** A socket without a listener was left behind by a process that was killed: it is replaced. */
async function listenOnSocket (server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new UsageError(`the path of a socket has at most ${MAX_SOCKET_PATH} bytes: ${path}`)
  }
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found !== undefined) {
    if (!found.isSocket()) throw new UsageError(`${path} is there, and is no socket`)
    if (await answers(path)) throw new UsageError(`${path} is in use by another process`)
    unlinkSync(path)
  }
  const before = process.umask(SOCKET_UMASK)
  try {
    server.listen(path)
  } finally {
    process.umask(before)
  }
  await listening(server)
}

async function answers (path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED') return false
    throw error
  } finally {
    socket.destroy()
  }
}

function refuseTunnel (_request: IncomingMessage, socket: Socket): void {
  socket.on('error', () => socket.destroy())
  socket.end('HTTP/1.1 501 Not Implemented\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
}

function urlOf (server: Server, tls: boolean): string {
  const at = server.address()
  if (at === null || typeof at === 'string') throw new TypeError('The server does not listen on TCP')
  return `${tls ? 'https' : 'http'}://${isIPv6(at.address) ? `[${at.address}]` : at.address}:${at.port}`
}
