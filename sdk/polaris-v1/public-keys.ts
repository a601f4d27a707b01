/** The proxies' public keys, fetched once for each proxy. */
import { PublicKeyError } from '../errors.ts'

const FETCH_TIMEOUT_MS = 30_000

export interface PublicKeys {
  /** @param base where the proxy is mounted: a URL that ends with '/' */
  get (base: string): Promise<string>
  /** Fetches again, once for all that ask at the same time. */
  renew (base: string): Promise<string>
}

export function createPublicKeys (fetchKey: (base: string, fresh: boolean) => Promise<string>): PublicKeys {
  const known = new Map<string, Promise<string>>()
  const renewals = new Map<string, Promise<string>>()

  function load (base: string, fresh = false): Promise<string> {
    const key = fetchKey(base, fresh)
    known.set(base, key)
    key.catch(() => {
      if (known.get(base) === key) known.delete(base)
    })
    return key
  }

  return {
    get: base => known.get(base) ?? load(base),
    renew (base) {
      let renewal = renewals.get(base)
      if (!renewal) {
        renewal = load(base, true).finally(() => renewals.delete(base))
        renewals.set(base, renewal)
      }
      return renewal
    }
  }
}

/**
 * Asks the proxy for its key. Nothing authenticates the answer but TLS: check it against attestation evidence, or pin
 * the key, if the party that ends TLS is not trusted.
 *
 * @param fresh the last key was refused: ask past the caches on the way
 * @throws {PublicKeyError}
 */
export async function fetchPublicKey (base: string, fetch: typeof globalThis.fetch, fresh = false): Promise<string> {
  const get = (from: string) => fetch(keyURL(from, fresh), {
    ...fresh && { cache: 'no-store' },
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS)
  })
  try {
    let response = await get(base)
    const root = new URL('/', base).href
    // A proxy behind a path prefix may still answer for itself at the root, as the original one does.
    if (response.status === 404 && base !== root) response = await get(root)
    const body: unknown = response.ok ? await response.json() : undefined
    const key: unknown = typeof body === 'object' && body !== null && 'publicKey' in body ? body.publicKey : undefined
    if (typeof key === 'string') return key
  } catch (cause) {
    throw new PublicKeyError(unavailable(base), { cause })
  }
  throw new PublicKeyError(unavailable(base))
}

function keyURL (base: string, fresh: boolean): string {
  const url = new URL('polaris-container/publicKey', base)
  if (fresh) url.searchParams.set('fresh', crypto.randomUUID())
  return url.href
}

function unavailable (base: string): string {
  return `No public key from ${base}polaris-container/publicKey: check that a Polaris proxy listens there, or pass ` +
    'its key as publicKey'
}
