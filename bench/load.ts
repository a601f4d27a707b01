/** Sends prepared requests over a number of connections, and measures each. */
import { Client } from 'undici'

export interface PreparedRequest {
  readonly method: 'POST'
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array
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
  const took: number[] = []
  let issued = 0
  const begin = performance.now()
  await Promise.all(Array.from({ length: connections }, async () => {
    const client = new Client(url, { pipelining: 1 })
    for (let i = issued++; i < count; i = issued++) {
      const start = performance.now()
      const { statusCode, body } = await client.request(next(i))
      await body.dump({ limit: 2 ** 30 })
      if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}`)
      took.push(performance.now() - start)
    }
    await client.close()
  }))
  const seconds = (performance.now() - begin) / 1000
  took.sort((a, b) => a - b)
  return { requests: count, seconds, p50: took[Math.floor(took.length * 0.5)]!, p99: took[Math.floor(took.length * 0.99)]! }
}
