/**
 * A seed that replicas share through a file: 32 bytes, made inside the TEE, encrypted to the RSA key that all of them
 * can use and nothing else can. The first replica creates the file; all others, and all later starts, adopt it at the
 * price of one unwrap. Nothing shows who made the file, since the public key is all it takes: the volume must be
 * trusted, or the file pinned by its hash.
 *
 *     file = JSON {"keyId": id of the RSA key, "seed": base64 of RSA-OAEP-256(seed)}
 */
import { constants, createHash, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto'
import { link, open, rm } from 'node:fs/promises'
import { decodeBase64 } from '../../protocols/base64.ts'
import { readBounded, TooLongError } from '../../remote/read-bounded.ts'
import { UnwrapError, newestKey } from '../provider.ts'
import type { KeyProvider } from '../provider.ts'

const SEED_BYTES = 32
const MAX_FILE_BYTES = 16 * 1024

/** What is wrong with the file; its content is not told. */
export class SealedSeedError extends Error {
  override readonly name = 'SealedSeedError'
  readonly code = 'ERR_SEALED_SEED'
}

/**
 * @param sha256 of the file, hexadecimal, where only that one will do
 * @throws {SealedSeedError} the file cannot be used
 * @throws {KeysBusyError}
 * @throws the file system's errors
 */
export async function openSealedSeed (path: string, keys: KeyProvider, sha256?: string): Promise<Uint8Array> {
  const { keyId, pem } = await newestKey(keys)
  const present = await read(path)
  if (sha256 === undefined) return unseal(present ?? await create(path, keyId, pem), keys)
  if (present === undefined) throw new SealedSeedError('The pinned seed file is missing')
  if (createHash('sha256').update(present).digest('hex') !== sha256.toLowerCase()) {
    throw new SealedSeedError('The seed file is not the pinned one')
  }
  return unseal(present, keys)
}

/** Undefined if there is no file. */
async function read (path: string): Promise<Buffer | undefined> {
  try {
    await using file = await open(path, 'r')
    return await readBounded(file.createReadStream({ autoClose: false }), MAX_FILE_BYTES)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (error instanceof TooLongError) throw new SealedSeedError('The seed file is malformed: remove it')
    throw error
  }
}

/** Atomic, first writer wins: the file appears complete or not at all, and whose it is does not matter. */
async function create (path: string, keyId: string, pem: string): Promise<Buffer> {
  const seed = randomBytes(SEED_BYTES)
  const sealed = publicEncrypt(
    { key: createPublicKey(pem), padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }, seed
  )
  seed.fill(0)

  const temporary = `${path}.${randomBytes(8).toString('hex')}`
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(JSON.stringify({ keyId, seed: sealed.toString('base64') }) + '\n')
    await file.sync()
  } finally {
    await file.close()
  }
  try {
    await link(temporary, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(temporary, { force: true })
  }
  const content = await read(path)
  if (content === undefined) throw new SealedSeedError('The seed file was removed while this process created it')
  return content
}

async function unseal (content: Buffer, keys: KeyProvider): Promise<Uint8Array> {
  const { keyId, seed } = parse(content)
  if (!keys.publicKeys().some(key => key.keyId === keyId)) {
    throw new SealedSeedError(
      'The seed file is sealed to a key that is not configured: list that key version, or remove the file'
    )
  }
  try {
    const opened = await keys.unwrap(keyId, seed)
    if (opened.length !== SEED_BYTES) throw new SealedSeedError('The seed does not have 32 bytes')
    return opened
  } catch (error) {
    if (error instanceof UnwrapError) {
      throw new SealedSeedError('The seed file does not open with its key: remove it', { cause: error })
    }
    throw error
  }
}

function parse (content: Buffer): { keyId: string, seed: Uint8Array } {
  let value: { keyId?: unknown, seed?: unknown } | null = null
  try {
    value = JSON.parse(content.toString('utf8'))
  } catch {
    value = null
  }
  const seed = typeof value?.seed === 'string' ? decodeBase64(value.seed) : undefined
  if (typeof value?.keyId !== 'string' || seed === undefined) {
    throw new SealedSeedError('The seed file is malformed: remove it')
  }
  return { keyId: value.keyId, seed }
}
