/** Writes a response to standard output or to a file, as it arrives. */
import { createWriteStream, rmSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { UsageError } from '../status.ts'
import { showProgress } from './progress.ts'

export interface OutputOptions {
  /** Standard output if left out. */
  readonly file: string | undefined
  /** Whether status and headers come first. */
  readonly head: boolean
  readonly body: boolean
  /** For progress, unless the response itself goes there; undefined shows none. */
  readonly terminal: NodeJS.WriteStream | undefined
}

const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * @returns the bytes of the body
 * @throws what the body errors with; the file is as it was then
 */
export async function writeResponse (
  response: Response, { file, head, body, terminal }: OutputOptions
): Promise<number> {
  const count = { bytes: 0 }
  const shown = file === undefined && process.stdout.isTTY ? undefined : terminal
  const pieces = read(response, head, body, shown, count)
  if (file === undefined) await toStandardOutput(pieces)
  else if (await isRegular(file)) await replace(pieces, file)
  else await toFile(pieces, file)
  return count.bytes
}

/** What is not complete must not be taken for the whole. */
async function replace (pieces: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  const part = `${file}.part`
  const interrupt = (signal: NodeJS.Signals) => {
    rmSync(part, { force: true })
    process.kill(process.pid, signal)
  }
  for (const signal of INTERRUPTIONS) process.once(signal, interrupt)
  try {
    await toFile(pieces, part)
    await rename(part, file)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  } finally {
    for (const signal of INTERRUPTIONS) process.off(signal, interrupt)
  }
}

async function * read (
  response: Response, head: boolean, body: boolean, terminal: NodeJS.WriteStream | undefined, count: { bytes: number }
): AsyncGenerator<Uint8Array, void, void> {
  if (head) {
    const lines = [`HTTP ${response.status}`, ...[...response.headers].map(([name, value]) => `${name}: ${value}`)]
    yield Buffer.from(`${lines.join('\n')}\n\n`, 'latin1')
  }
  if (!body || response.body === null) return response.body?.cancel()
  const length = response.headers.has('content-encoding') ? NaN : Number(response.headers.get('content-length') ?? NaN)
  const pieces = terminal === undefined
    ? response.body
    : showProgress(response.body, 'downloaded', Number.isNaN(length) ? undefined : length, terminal)
  for await (const piece of pieces) {
    count.bytes += piece.length
    yield piece
  }
}

async function toStandardOutput (pieces: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await pipeline(pieces, process.stdout, { end: false })
  } catch (error) {
    throw asUsageError(error, 'to standard output')
  }
}

async function toFile (pieces: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  try {
    await pipeline(pieces, createWriteStream(file))
  } catch (error) {
    throw asUsageError(error, file)
  }
}

/** @param where what could not be written, or where to */
export function asUsageError (error: unknown, where: string): unknown {
  if (isBrokenPipe(error) || !(error instanceof Error && 'syscall' in error && 'code' in error)) return error
  return new UsageError(`cannot write ${where}: ${error.code}${error.code === 'ENOSPC' ? ', no space is left' : ''}`)
}

/** Or not there yet. Devices and pipes are written to as they are. */
async function isRegular (file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true
    throw new UsageError(
      `cannot write ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}

export function isBrokenPipe (error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
