/**
 * Sends prepared requests over a number of connections, and measures each. On bare sockets, since on a machine with few
 * cores what a client takes is taken from what is measured.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createMessageEnd } from './message-end.ts'

/** The octets of a request, head and body. */
export type PreparedRequest = Buffer

export function prepareRequest (path: string, headers: Record<string, string>, body: Uint8Array): PreparedRequest {
  const lines = Object.entries({ host: 'proxy.example', ...headers, 'content-length': String(body.length) }).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n`), body])
}

export interface Latencies {
  readonly requests: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Sends `count` requests, `connections` at a time; any answer but 200 is an error. */
export async function load (url: string, connections: number, count: number, next: (i: number) => PreparedRequest): Promise<Latencies> {
  const { hostname, port } = new URL(url)
  const took: number[] = []
  let issued = 0
  const begin = performance.now()
  await Promise.all(Array.from({ length: connections }, async () => {
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const response = createMessageEnd()
    let start = 0
    const send = () => {
      if (issued === count) return socket.end()
      start = performance.now()
      socket.write(next(issued++))
    }
    socket.on('data', (octets: Buffer) => {
      const head = response.push(octets)
      if (head?.toString('latin1', 9, 12) !== '200' && head !== undefined) socket.destroy(new Error(`${url} answered ${head}`))
      if (!response.ended) return
      took.push(performance.now() - start)
      send()
    })
    send()
    await once(socket, 'close')
  }))
  if (took.length < count) throw new Error(`${url} answered ${took.length} of ${count} requests`)
  const seconds = (performance.now() - begin) / 1000
  took.sort((a, b) => a - b)
  return { requests: count, seconds, p50: took[Math.floor(took.length * 0.5)]!, p99: took[Math.floor(took.length * 0.99)]! }
}
