/**
 * Sends prepared requests over a number of connections, and measures each. On bare sockets, since on a machine with few
 * cores what a client takes is taken from what is measured.
 */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { createMessageEnd } from './message-end.ts'

/** The octets of a request, head and body. */
export type PreparedRequest = Buffer

export function prepareRequest (path: string, headers: Record<string, string>, body: Uint8Array): PreparedRequest {
  const lines = Object.entries(
    { host: 'proxy.example', ...headers, 'content-length': String(body.length) }
  ).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body])
}

export interface Latencies {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

interface Connection {
  /** False where the server closed the connection before it answered, as it may after any answer. */
  send (request: PreparedRequest): Promise<boolean>
  close (): void
}

function open (url: string): Connection {
  const { protocol, hostname, port } = new URL(url)
  const where = { host: hostname, port: Number(port), noDelay: true }
  // What a client verifies costs the client.
  const socket = protocol === 'https:' ? connectTls({ ...where, rejectUnauthorized: false }) : connect(where)
  const response = createMessageEnd()
  let waiting: PromiseWithResolvers<boolean> | undefined
  socket.on('data', (octets: Buffer) => {
    const head = response.push(octets)
    if (head !== undefined && head.toString('latin1', 9, 12) !== '200') {
      waiting?.reject(new Error(`${url} answered ${head.toString()}`))
    }
    if (response.ended) waiting?.resolve(true)
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ECONNREFUSED') waiting?.reject(error)
    socket.destroy()
  })
  socket.on('close', () => {
    if (response.ended) waiting?.resolve(false)
    else waiting?.reject(new Error(`${url} broke off`))
  })
  return {
    async send (request) {
      if (!socket.writable) return false
      waiting = Promise.withResolvers()
      socket.write(request)
      return await waiting.promise
    },
    close () { socket.end() }
  }
}

/** Sends `count` requests, `connections` at a time; any answer but 200 is an error. */
export async function load (
  url: string, connections: number, count: number, next: (i: number) => PreparedRequest
): Promise<Latencies> {
  const took: number[] = []
  let issued = 0
  const begin = performance.now()
  await Promise.all(Array.from({ length: connections }, async () => {
    let connection = open(url)
    for (let i = issued++; i < count; i = issued++) {
      const request = next(i)
      const start = performance.now()
      while (!await connection.send(request)) connection = open(url)
      took.push(performance.now() - start)
    }
    connection.close()
  }))
  const seconds = (performance.now() - begin) / 1000
  took.sort((a, b) => a - b)
  return {
    requests: count, seconds, p50: took[Math.floor(took.length * 0.5)]!, p99: took[Math.floor(took.length * 0.99)]!
  }
}
