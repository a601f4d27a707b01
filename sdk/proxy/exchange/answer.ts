/** Writes answers to the client: this proxy's own, and those of the workload as they arrive. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Field } from '../../../lib/protocols/bhttp/bhttp.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import type { LocalProblem } from './problems.ts'

/** An answer of this proxy's own, never stored. */
export function answer (
  response: ServerResponse, status: number, fields: readonly Field[],
  body?: { readonly type: string, readonly bytes: Buffer }
): void {
  const lines: Field[] = [...fields, ['cache-control', 'no-store']]
  if (body !== undefined) lines.push(['content-type', body.type], ['content-length', String(body.bytes.length)])
  response.writeHead(status, lines.flat())
  response.end(body?.bytes)
}

export function answerJson (response: ServerResponse, status: number, fields: readonly Field[], value: unknown): void {
  answer(
    response, status, fields, { type: 'application/json', bytes: Buffer.from(JSON.stringify(value, null, 2) + '\n') }
  )
}

export function answerProblem (response: ServerResponse, problem: LocalProblem, fields: readonly Field[]): void {
  answer(response, problem.status, fields, { type: 'application/problem+json', bytes: problem.body() })
}

/** The length that a header section announces, if it does. */
export function announcedLength (fields: readonly Field[]): number | undefined {
  const value = fields.find(([name]) => name === 'content-length')?.[1]
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined
}

/**
 * Writes a body as it arrives, and no faster than the client takes it. It does not end the response.
 *
 * @param length that the header section announced
 * @param count called with the bytes of each piece
 * @throws what the body errors with, or a RangeError: it has another length
 */
export async function pump (
  body: ReadableStream<Bytes>, response: ServerResponse, length: number | undefined, count: (bytes: number) => void
): Promise<void> {
  const reader = body.getReader()
  const closed = new AbortController()
  response.once('close', () => closed.abort())
  // Head and first piece leave together if that piece is there; otherwise the client need not wait for it.
  const flush = setImmediate(() => response.flushHeaders())
  let left = length ?? Infinity
  try {
    for (let read = await reader.read(); !read.done;) {
      const { value } = read
      left -= value.length
      if (left < 0) throw new RangeError('The answer is longer than it announced')
      // With the last piece, the client has what was announced to it. So it waits until the end has been proven, too.
      if (left === 0) read = await reader.read()
      if (closed.signal.aborted) throw closed.signal.reason
      if (left === 0 && !read.done) throw new RangeError('The answer is longer than it announced')
      count(value.length)
      if (!response.write(value)) await once(response, 'drain', { signal: closed.signal })
      if (left > 0) read = await reader.read()
    }
    if (length !== undefined && left > 0) throw new RangeError('The answer is shorter than it announced')
  } catch (error) {
    await reader.cancel(error)
    throw error
  } finally {
    clearImmediate(flush)
  }
}

/** Ends the connection so that no client takes for complete what came so far. */
export function reset ({ socket }: ServerResponse): void {
  if (socket === null) return
  // Of what has no TCP of its own to reset, the missing end of the body tells.
  if (socket instanceof TLSSocket || socket.localAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
