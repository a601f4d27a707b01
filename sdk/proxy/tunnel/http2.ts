/**
 * HTTP/2 of programs that know that they may speak it (RFC 9113, section 3.3), such as gRPC clients without TLS: the
 * bytes of the connection go on over TLS with a proven key. Pages cannot do that: no browser speaks it without TLS.
 */
import type { Server, Socket } from 'node:net'
import { LocalProblem } from '../exchange/problems.ts'
import { join } from './join.ts'
import type { Tunnels } from './tunnels.ts'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
/** For the first bytes of a connection. */
const PREFACE_MS = 60_000
/** For the client to read why it is refused. */
const LINGER_MS = 5000
/** RFC 9113, sections 6.5, 6.8 and 7. */
const SETTINGS = 4
const GOAWAY = 7
const INTERNAL_ERROR = 2
const HTTP_1_1_REQUIRED = 13

export interface Http2Options {
  /** Why HTTP/2 cannot pass, whatever the proxy offers. */
  readonly refusal: string | undefined
  readonly tunnels: Tunnels
}

/** Serves a connection that begins with HTTP/2's preface, which is still to be read. */
export type ServeHttp2 = (client: Socket) => Promise<void>

export function createHttp2 ({ refusal, tunnels }: Http2Options): ServeHttp2 {
  return client => tunnels.run(client, {
    application: 'h2',
    async serve (connect) {
      if (refusal !== undefined) throw new LocalProblem('http-version', refusal)
      return join(client, await connect())
    },
    refuse: problem => refuse(client, problem)
  })
}

/** Says why, as far as HTTP/2 can: in the debug data of GOAWAY. */
function refuse (client: Socket, { code, message }: LocalProblem): void {
  if (client.destroyed) return
  const payload = Buffer.concat([Buffer.alloc(8), Buffer.from(`${code}: ${message}`)])
  payload.writeUInt32BE(code === 'http-version' ? HTTP_1_1_REQUIRED : INTERNAL_ERROR, 4)
  client.write(frame(SETTINGS, Buffer.alloc(0)))
  client.end(frame(GOAWAY, payload))
  client.setTimeout(LINGER_MS, () => client.destroy())
  client.once('end', () => client.destroy()).resume()
}

/** RFC 9113, section 4.1: of the connection, without flags. */
function frame (type: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  return Buffer.concat([head, payload])
}

/**
 * Has connections that begin with HTTP/2's preface served by `serve`, and all others as before.
 *
 * @returns what closes those that have not sent anything that tells
 */
export function divertHttp2 (server: Server, serve: ServeHttp2): () => void {
  const others = server.listeners('connection') as ((socket: Socket) => void)[]
  const waiting = new Set<Socket>()

  function tell (socket: Socket): void {
    let seen = Buffer.alloc(0)
    const fail = () => { socket.destroy() }
    const forget = () => { waiting.delete(socket) }
    const look = () => {
      for (let piece = socket.read() as Buffer | null; piece !== null; piece = socket.read() as Buffer | null) {
        seen = Buffer.concat([seen, piece])
      }
      const length = Math.min(seen.length, PREFACE.length)
      const isPreface = PREFACE.subarray(0, length).equals(seen.subarray(0, length))
      // So far, it can be either.
      if (isPreface && length < PREFACE.length) return
      forget()
      socket.off('readable', look).off('end', fail).off('error', fail).off('close', forget)
      socket.setTimeout(0).off('timeout', fail)
      socket.unshift(seen)
      if (isPreface) serve(socket)
      else for (const other of others) other.call(server, socket)
    }
    waiting.add(socket)
    socket.on('readable', look).once('end', fail).once('error', fail).once('close', forget).setTimeout(PREFACE_MS, fail)
  }

  server.removeAllListeners('connection')
  server.on('connection', tell)
  return () => { for (const socket of waiting) socket.destroy() }
}
