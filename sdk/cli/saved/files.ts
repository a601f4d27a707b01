/**
 * A saved verification: a folder with all that `polaris verify` saw, and `saved.json`, which says when, by which nonce,
 * from where, and names each file with its SHA-256.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REFUSED, UsageError } from '../status.ts'

export const FORMAT = 'polaris-verification-v1'
export const INDEX = 'saved.json'
const MAX_BYTES = 32 * 1024 * 1024
const NAME = /^[a-z\d][a-z\d.-]{0,63}$/

/** What an issuer answered. */
export interface SavedAnswer {
  readonly url: string
  readonly file: string
  readonly headers: Readonly<Record<string, string>>
}

export interface SavedIndex {
  readonly format: typeof FORMAT
  readonly url: string
  /** RFC 3339: when it was verified. */
  readonly at: string
  /** Base64url. */
  readonly nonce: string
  /** The date of Sigstore's trusted root that was shipped then. */
  readonly trustedRootDate: string
  readonly answers: readonly SavedAnswer[]
  /** SHA-256 of each file, in hexadecimal. */
  readonly files: Readonly<Record<string, string>>
}

/** The files are not those that were saved: no verdict can be had from them. */
export class ChangedFileError extends Error {
  override readonly name = 'ChangedFileError'
  readonly code = 'ERR_SAVED_FILE_CHANGED'
  readonly status = REFUSED
}

/** @throws {UsageError} there is something at that place, or it cannot be written */
export async function writeSaved (
  folder: string, index: Omit<SavedIndex, 'files'>, files: ReadonlyMap<string, Uint8Array>
): Promise<void> {
  const hashes = Object.fromEntries([...files].map(([name, content]) => [name, sha256(content)]))
  try {
    await mkdir(folder)
    for (const [name, content] of files) await writeFile(join(folder, name), content, { flag: 'wx' })
    await writeFile(join(folder, INDEX), `${JSON.stringify({ ...index, files: hashes }, null, 2)}\n`, { flag: 'wx' })
  } catch (error) {
    const code = codeOf(error)
    throw new UsageError(
      `cannot save to ${folder}: ${code}${code === 'EEXIST' ? ', there is such a folder: name a new one' : ''}`
    )
  }
}

/**
 * @throws {UsageError} it is no saved verification
 * @throws {ChangedFileError} a file has changed, or is missing
 */
export async function readSaved (folder: string): Promise<{ index: SavedIndex, files: ReadonlyMap<string, Buffer> }> {
  const index = parseIndex(await bounded(join(folder, INDEX)), folder)
  const files = new Map<string, Buffer>()
  for (const [name, hash] of Object.entries(index.files)) {
    const content = await bounded(join(folder, name)).catch((error: unknown) => {
      throw new ChangedFileError(
        `${join(folder, name)} cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`
      )
    })
    if (sha256(content) !== hash) {
      throw new ChangedFileError(`${join(folder, name)} is not what was saved: its SHA-256 is another`)
    }
    files.set(name, content)
  }
  return { index, files }
}

function parseIndex (content: Buffer, folder: string): SavedIndex {
  const index = parse(content)
  if (!isRecord(index) || index['format'] !== FORMAT) {
    throw new UsageError(`${folder} holds no verification that was saved by polaris verify --save`)
  }
  const { url, at, nonce, trustedRootDate, answers, files } = index
  const strings = [url, at, nonce, trustedRootDate].every(value => typeof value === 'string')
  const named = isRecord(files) && Object.entries(files).every(
    ([name, hash]) => NAME.test(name) && /^[\da-f]{64}$/.test(String(hash))
  )
  const known = Array.isArray(answers) && answers.every(answer =>
    isRecord(answer) && typeof answer['url'] === 'string' && isRecord(files) &&
      Object.hasOwn(files, String(answer['file'])) &&
    isRecord(answer['headers']) && Object.values(answer['headers']).every(value => typeof value === 'string'))
  if (!strings || !named || !known || Number.isNaN(Date.parse(String(at)))) {
    throw new UsageError(`${join(folder, INDEX)} is malformed`)
  }
  return index as unknown as SavedIndex
}

async function bounded (path: string): Promise<Buffer> {
  try {
    const content = await readFile(path)
    if (content.length > MAX_BYTES) throw new UsageError(`${path} is too large`)
    return content
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`cannot read ${path}: ${codeOf(error)}`)
  }
}

function parse (content: Buffer): unknown {
  try {
    return JSON.parse(content.toString('utf8'))
  } catch {
    return undefined
  }
}

function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function sha256 (content: Uint8Array): string {
  return createHash('sha256').update(content).digest('hex')
}

function codeOf (error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
