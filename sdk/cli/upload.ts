/** Request bodies of the command: text, files and standard input, with progress for whoever watches. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { UsageError } from './status.ts'

const PROGRESS_MS = 100

/** What fetch takes. Sets the headers that belong to the body. */
export interface Upload {
  readonly body: string | ReadableStream<Uint8Array>
  readonly duplex?: 'half'
}

/** @throws {UsageError} there is no such file */
export async function openUpload (data: string, headers: Headers, terminal: NodeJS.WriteStream): Promise<Upload> {
  // As curl has it.
  if (!headers.has('content-type')) headers.set('content-type', 'application/x-www-form-urlencoded')
  if (!data.startsWith('@')) return { body: data }
  const { stream, length } = data === '@-' ? { stream: process.stdin, length: undefined } : await openFile(data.slice(1))
  if (length !== undefined) headers.set('content-length', String(length))
  const shown = terminal.isTTY ? showProgress(stream, length, terminal) : stream
  return { body: Readable.toWeb(Readable.from(shown, { objectMode: false, highWaterMark: 0 })), duplex: 'half' }
}

async function openFile (path: string) {
  try {
    const file = await open(path)
    const stats = await file.stat()
    if (stats.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
    // Only what is a file has a length: pipes and devices say 0.
    return { stream: createReadStream(path, { fd: file }), length: stats.isFile() ? stats.size : undefined }
  } catch (error) {
    throw new UsageError(`cannot read ${path}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`)
  }
}

/** The same octets. Says on the terminal how many were read, on a line of its own that is written anew. */
export async function * showProgress (source: AsyncIterable<Uint8Array>, length: number | undefined, terminal: NodeJS.WritableStream): AsyncGenerator<Uint8Array, void, void> {
  let sent = 0
  let shownAt = 0
  const show = () => {
    const share = length === undefined || length === 0 ? '' : ` of ${megabytes(length)}, ${Math.floor(100 * sent / length)} %`
    terminal.write(`\r\x1b[Kuploaded ${megabytes(sent)}${share}`)
    shownAt = performance.now()
  }
  try {
    for await (const piece of source) {
      yield piece
      sent += piece.length
      if (performance.now() - shownAt >= PROGRESS_MS) show()
    }
  } finally {
    show()
    terminal.write('\n')
  }
}

function megabytes (octets: number): string {
  return `${(octets / 1e6).toFixed(1)} MB`
}
