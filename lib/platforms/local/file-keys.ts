/** Keys from mounted files, for platforms on which something else releases them. */
import { createPrivateKey } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { open, stat } from 'node:fs/promises'
import { readBounded } from '../../remote/read-bounded.ts'
import { RemoteError, safeCode } from '../../remote/error.ts'
import { createVersionedProvider } from '../../keys/rsa/key-versions.ts'
import type { FetchOptions, KeyLog, KeyVersion, KnownVersions } from '../../keys/rsa/key-versions.ts'
import { memoryKey } from '../../keys/rsa/memory-key.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import type { RsaPoolOptions } from '../../keys/rsa/pool.ts'
import { localSettings } from './settings.ts'

export interface FileOptions extends FetchOptions, RsaPoolOptions {
  /**
   * Files, newest keys first. Each holds RSA private keys, newest first: PEM (PKCS#8 or PKCS#1, not encrypted), a JWK
   * or a JWK Set.
   */
  readonly paths: readonly string[]
  /** Milliseconds between looks at whether a file was replaced. Default: 10 000. */
  readonly pollInterval?: number
}

const MAX_OCTETS = 256 * 1024
/**
 * Of all files. Attestation evidence covers 16 keys: these, and those of other protocols. With more, there would be no
 * evidence and, if it is required, the gate would stay closed.
 */
const MAX_KEYS = 14
const PEM_KEY = /-----BEGIN (?:RSA )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:RSA )?PRIVATE KEY-----/g

/**
 * Files are polled rather than watched: a mounted secret is replaced by exchanging a symbolic link somewhere above it,
 * or by another host altogether, and neither reaches a watcher reliably.
 */
export function createFileProvider (options: FileOptions, log: KeyLog): KeyProvider {
  const { paths, pollInterval = 10_000 } = options
  let loaded = ''

  async function load (known: KnownVersions): Promise<readonly KeyVersion[]> {
    loaded = await fingerprint(paths)
    const versions = new Map<string, KeyVersion>()
    for (const path of paths) {
      for (const key of await readKeys(path)) {
        const version = await memoryKey(key, known, options)
        versions.set(version.published.keyId, version)
      }
    }
    if (versions.size > MAX_KEYS) throw tooMany(versions.size)
    return [...versions.values()]
  }

  const provider = createVersionedProvider({
    ...options, name: 'file', remote: false, load, close: () => clearInterval(timer)
  }, log)

  let looking = false
  const timer = setInterval(async () => {
    // A file system that hangs gets one look at a time.
    if (looking) return
    looking = true
    // What goes wrong in a refresh is logged by it, and the next replacement is the next chance.
    if (await fingerprint(paths) !== loaded) await Promise.allSettled([provider.refresh()])
    looking = false
  }, pollInterval)
  timer.unref()
  return provider
}

/** Changes when any of the files does. A file that cannot be looked at counts as absent. */
async function fingerprint (paths: readonly string[]): Promise<string> {
  const found = await Promise.allSettled(paths.map(path => stat(path, { bigint: true })))
  return found.map(result => {
    if (result.status === 'rejected') return '-'
    const { dev, ino, size, mtimeNs, ctimeNs } = result.value
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  }).join()
}

async function readKeys (path: string): Promise<KeyObject[]> {
  const octets = await readPrivateFile(path)
  try {
    const keys = parseKeys(octets.toString('utf8'))
    if (keys.length > 0) return keys
  } catch (cause) {
    // Not even the message of a parser goes further: some quote their input.
    throw unreadable(
      path, 'UNPARSABLE', 'holds no private key in a known form',
      'Write RSA private keys as PEM (not encrypted), JWK or JWK Set', cause
    )
  } finally {
    octets.fill(0)
  }
  throw unreadable(
    path, 'UNPARSABLE', 'holds no private key', 'Write RSA private keys as PEM (not encrypted), JWK or JWK Set'
  )
}

function parseKeys (text: string): KeyObject[] {
  if (!text.trimStart().startsWith('{')) return (text.match(PEM_KEY) ?? []).map(pem => createPrivateKey(pem))
  const json = JSON.parse(text) as { keys?: unknown }
  const jwks = Array.isArray(json.keys) ? json.keys as JsonWebKey[] : [json as JsonWebKey]
  return jwks.map(key => createPrivateKey({ key, format: 'jwk' }))
}

/** Reads a file that only its owner and group can: the check and the read are of the same open file. */
async function readPrivateFile (path: string): Promise<Buffer> {
  try {
    await using file = await open(path, 'r')
    const { mode, size } = await file.stat()
    if ((mode & 0o007) !== 0) {
      throw unreadable(
        path, 'WORLD_READABLE', 'can be read by all users',
        'Remove access for other users (chmod o-rwx; in Kubernetes defaultMode: 0440)'
      )
    }
    if (size > MAX_OCTETS) {
      throw unreadable(path, 'TOO_LARGE', `is larger than ${MAX_OCTETS} bytes`, 'Point the setting at a file of keys')
    }
    return await readBounded(file.createReadStream({ autoClose: false }), MAX_OCTETS)
  } catch (cause) {
    if (cause instanceof RemoteError) throw cause
    const providerCode = safeCode((cause as NodeJS.ErrnoException).code) ?? 'UNREADABLE'
    throw new RemoteError(providerCode === 'ENOENT' ? 'transient' : 'refused', `The key file ${path} cannot be read`, {
      providerCode, cause, advice: 'Check that it is mounted and that the user of this process may read it'
    })
  }
}

function tooMany (count: number): RemoteError {
  return new RemoteError('configuration', `The key files hold ${count} keys, at most ${MAX_KEYS} can be attested`, {
    providerCode: 'TOO_MANY_KEYS', advice: 'Remove the oldest keys'
  })
}

function unreadable (path: string, providerCode: string, what: string, advice: string, cause?: unknown): RemoteError {
  return new RemoteError('configuration', `The key file ${path} ${what}`, { providerCode, advice, cause })
}

/**
 * What is wrong with files of keys that no time will fix. A file that is not there may be mounted later, and one
 * that holds no key may be replaced.
 *
 * @returns a sentence for each
 */
export async function unusableFiles (paths: readonly string[]): Promise<string[]> {
  const problems: string[] = []
  let count = 0
  for (const path of paths) {
    try {
      count += (await readKeys(path)).length
    } catch (error) {
      if (!(error instanceof RemoteError) || error.kind === 'transient' || error.providerCode === 'UNPARSABLE') continue
      problems.push(sentence(error))
    }
  }
  if (count > MAX_KEYS) problems.push(sentence(tooMany(count)))
  return problems
}

function sentence ({ message, providerCode, advice }: RemoteError): string {
  return `${localSettings.keyFile.env}: ${message} (${providerCode}). ${advice}`
}
