/**
 * polaris.tunnels: WebSocket between clients and the workload. A request that asks for it goes the way of all requests,
 * through the gate, the limits and the header rules, up to where it would be forwarded; from there on its connection is
 * joined to one with the workload, and what passes is bytes (docs/websocket.md).
 */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { Pool, buildConnector } from 'undici'
import type { Exchange } from '../lib/exchanges/exchange.ts'
import { clientBehind } from '../lib/http/caller.ts'
import { isConfidential } from '../lib/tls/confidential.ts'
import type { ResponseHeaders } from '../lib/http/headers.ts'
import { Problem } from '../lib/http/problems.ts'
import { trustedProxies } from '../lib/http/trusted-proxies.ts'
import { workloadProblem } from '../lib/http/workload-problem.ts'
import { provide } from '../lib/polaris.ts'
import { askWorkload } from '../lib/tunnel/ask.ts'
import type { Answer } from '../lib/tunnel/ask.ts'
import { asksForWebSocket } from '../lib/tunnel/handshake.ts'
import { joinSockets } from '../lib/tunnel/tunnel.ts'
import type { Tunnel } from '../lib/tunnel/tunnel.ts'
import { workloadAddress } from '../lib/workload/address.ts'
import { createConnections } from '../lib/workload/connections.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    readonly tunnels: Tunnels
  }
}

export interface Tunnels {
  /** Whether a request that asks for another protocol is to be served together with its connection. */
  takes (request: IncomingMessage): boolean
  /** Whether this is one of those. */
  has (request: IncomingMessage): boolean
  /**
   * To be called before such a request is opened.
   *
   * @throws {Problem} tls-required
   */
  check (request: IncomingMessage): void
  /**
   * Answers with what the workload answers, and joins the connections if it switches.
   *
   * @param headersFor makes what the client gets of the headers that the workload sent
   * @throws {Problem}
   */
  forward (
    request: FastifyRequest, reply: FastifyReply, headersFor: (headers: ResponseHeaders) => ResponseHeaders
  ): Promise<FastifyReply>
  readonly open: number
}

/** Answers with headers that are larger are refused. */
const MAX_RESPONSE_HEADER_BYTES = 64 * 1024
/** RFC 6455, section 7.4.2 has it registered: the service restarts. */
const SERVICE_RESTART = 1012
/** Between probes of connections on which nothing passes, in milliseconds. */
const KEEP_ALIVE = 60_000

export default fp(async function tunnels (app) {
  const { config } = app.polaris
  const { url: base, isH2c, basePath } = workloadAddress(config.workloadBaseUrl)
  const isTrusted = trustedProxies(config.trustProxy)
  const connections = createConnections(Math.max(1, config.websockets), config.workloadConnectTimeout)
  const pool = new Pool(base.origin, {
    connections: Math.max(1, config.websockets),
    pipelining: 1,
    headersTimeout: 0,
    bodyTimeout: config.workloadIdleTimeout,
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    connect: buildConnector({
      timeout: config.workloadConnectTimeout, rejectUnauthorized: config.workloadTlsVerify, allowHalfOpen: true
    })
  })
  const taken = new WeakSet<IncomingMessage>()
  const open = new Set<Tunnel>()
  let isStopping = false
  let deadline: NodeJS.Timeout | undefined

  // After that of polaris-graceful-stop, which waits for load balancers to notice.
  app.addHook('preClose', async () => {
    isStopping = true
    for (const tunnel of open) tunnel.end(SERVICE_RESTART)
    deadline = setTimeout(() => {
      if (open.size > 0) app.log.warn({ websockets: open.size }, 'cutting off WebSockets that did not close in time')
      for (const tunnel of open) tunnel.destroy()
    }, config.stopTimeout)
  })
  app.addHook('onClose', async () => {
    clearTimeout(deadline)
    await pool.destroy()
  })

  provide(app.polaris, 'tunnels', {
    takes (request) {
      // RFC 8441, WebSocket over HTTP/2, is not spoken to workloads.
      const takes = config.websockets > 0 && !isH2c && asksForWebSocket(request)
      if (takes) taken.add(request)
      return takes
    },
    has: request => request.headers.upgrade !== undefined && taken.has(request),
    check ({ socket }) {
      if (!config.enableInputEncryption && !config.enableOutputEncryption) return
      if (!isConfidential(socket)) throw new Problem('tls-required')
    },
    async forward (request, reply, headersFor) {
      if (isStopping) throw new Problem('not-ready')
      const { raw: { socket }, passage } = request
      const exchange = request.exchange as Exchange
      const gone = goneSignal(reply, socket)
      const giveBack = await connections.take()
      reply.raw.once('close', giveBack)
      // Half of them for one client, at most.
      reply.raw.once('close', connections.startUpload(clientBehind(request.raw, isTrusted)))
      if (reply.raw.destroyed) return reply.hijack()
      passage?.reached('forwarded')
      const answer = await askWorkload(exchange, {
        dispatcher: pool, basePath, headersTimeout: config.workloadHeadersTimeout, signal: gone.signal
      }).catch((error: Error) => {
        passage?.workloadFailed(error)
        throw workloadProblem(error)
      }).finally(gone.forget)
      passage?.reached('answered')
      return answer.socket === undefined
        ? passOn(answer, reply, headersFor)
        : switchTo(answer.socket, reply, headersFor(answer.headers))
    },
    get open () { return open.size }
  })

  function switchTo (workload: Socket, reply: FastifyReply, headers: ResponseHeaders): FastifyReply {
    const { raw: response, request: { passage, raw: { socket: client } } } = reply
    if (response.destroyed || client.destroyed) workload.destroy()
    else {
      for (const socket of [client, workload]) socket.setKeepAlive(true, KEEP_ALIVE)
      // Not by Fastify, which knows no answer that does not end the request. A 101 has no content, nor its length.
      const { 'content-length': _, ...kept } = { ...reply.getHeaders(), ...headers }
      for (const [name, value] of Object.entries(kept)) if (value !== undefined) response.setHeader(name, value)
      response.writeHead(101, { connection: 'upgrade', upgrade: 'websocket' }).end()
      passage?.reached('responded')
      const tunnel = joinSockets(client, workload, {
        idleTimeout: config.websocketIdleTimeout,
        drainTimeout: config.clientIdleTimeout,
        onIdle: () => reply.request.log.info('WebSocket is idle; closing it')
      })
      open.add(tunnel)
      response.once('close', () => open.delete(tunnel))
      if (isStopping) tunnel.end(SERVICE_RESTART)
    }
    return reply.hijack()
  }
}, { name: 'polaris-tunnels', dependencies: ['polaris-config', 'polaris-exchanges', 'polaris-graceful-stop'] })

/** An answer that is no switch is one like any other; its connection ends with it. */
function passOn (
  { status, headers, body }: Extract<Answer, { body: Readable }>, reply: FastifyReply,
  headersFor: (headers: ResponseHeaders) => ResponseHeaders
): FastifyReply {
  return reply.code(status).headers(headersFor(headers)).send(body)
}

/**
 * Aborted when the client is gone. Nothing reads from its connection while the workload is asked, and a client that
 * closes is noticed only by reading: one that sent something ahead is not, until then.
 */
function goneSignal ({ raw: response }: FastifyReply, socket: Socket): { signal: AbortSignal, forget: () => void } {
  const gone = new AbortController()
  const abort = () => gone.abort()
  const look = () => { if (socket.readableLength === 0) socket.read() }
  const leave = () => socket.destroy()
  response.once('close', abort)
  socket.on('readable', look).once('end', leave)
  return {
    signal: gone.signal,
    forget () {
      response.off('close', abort)
      socket.off('readable', look).off('end', leave)
    }
  }
}
