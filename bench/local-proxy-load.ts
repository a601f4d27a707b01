/** What bench/local-proxy.ts sends, by the SDK's fetch or as plain HTTP. */

/** Whole exchanges of 1 KiB, or streams of which only the first event is read. */
export interface Order {
  readonly what: 'exchanges' | 'streams'
  readonly count: number
  readonly concurrency: number
}

export type Send = (path: string, body: Uint8Array<ArrayBuffer> | undefined) => Promise<AsyncIterable<Uint8Array>>

const BODY = new Uint8Array(1024).fill(97)

/** @returns milliseconds of each: until all of an answer, or the first event of a stream, is there */
export async function carryOut ({ what, count, concurrency }: Order, send: Send): Promise<number[]> {
  const times: number[] = []
  let started = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (started++ < count) {
      const begin = performance.now()
      const answer = what === 'exchanges' ? await send('/echo', BODY) : await send('/events', undefined)
      let received = 0
      for await (const piece of answer) {
        received += piece.length
        if (what === 'streams') break
      }
      if (received === 0) throw new Error('an empty answer')
      times.push(performance.now() - begin)
    }
  }))
  return times
}
