/** Request bodies that are files or standard input: streamed, with progress on a terminal. */
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { UsageError } from '../status.ts'
import { showProgress } from '../terminal/progress.ts'

/** What fetch takes. */
export interface Upload {
  readonly body: ReadableStream<Uint8Array>
  readonly duplex: 'half'
}

/**
 * Sets the header that tells the length, if that is known.
 *
 * @param path of a file, or `-` for standard input
 * @param terminal for progress; undefined shows none
 * @throws {UsageError} there is no such file
 */
export async function openUpload (
  path: string, headers: Headers, terminal: NodeJS.WriteStream | undefined
): Promise<Upload> {
  const { stream, length } = path === '-' ? { stream: process.stdin, length: undefined } : await openFile(path)
  if (length !== undefined) headers.set('content-length', String(length))
  const shown = terminal === undefined ? stream : showProgress(stream, 'uploaded', length, terminal)
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
    throw new UsageError(
      `cannot read ${path}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}
