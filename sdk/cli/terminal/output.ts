/** Writes a response to standard output or to a file, as it arrives. */
import { createWriteStream, rmSync } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { UsageError } from '../status.ts'

export interface OutputOptions {
  /** Standard output where left out. */
  readonly file: string | undefined
  /** Whether status and headers come first. */
  readonly head: boolean
  readonly body: boolean
}

const INTERRUPTIONS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** @throws what the body errors with; the file is as it was then */
export async function writeResponse (response: Response, { file, head, body }: OutputOptions): Promise<void> {
  const pieces = read(response, head, body)
  if (file === undefined) return pipeline(pieces, process.stdout, { end: false })
  if (!await isRegular(file)) return toFile(pieces, file)
  // What is not complete must not be taken for the whole.
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

async function * read (response: Response, head: boolean, body: boolean): AsyncGenerator<Uint8Array, void, void> {
  if (head) {
    const lines = [`HTTP ${response.status}`, ...[...response.headers].map(([name, value]) => `${name}: ${value}`)]
    yield Buffer.from(`${lines.join('\n')}\n\n`, 'latin1')
  }
  if (body && response.body !== null) yield * response.body
  else await response.body?.cancel()
}

async function toFile (pieces: AsyncIterable<Uint8Array>, file: string): Promise<void> {
  try {
    await pipeline(pieces, createWriteStream(file))
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && 'code' in error) throw new UsageError(`cannot write ${file}: ${error.code}`)
    throw error
  }
}

/** Or not there yet. Devices and pipes are written to as they are. */
async function isRegular (file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true
    throw new UsageError(`cannot write ${file}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`)
  }
}

export function isBrokenPipe (error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE'
}
