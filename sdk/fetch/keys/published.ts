/**
 * The keys that requests are encrypted to: where they come from, how long they are kept, and which one is used.
 */
import type { EncryptionKey } from '../../ohttp/hpke-sender.ts'
import { selectKey } from '../../ohttp/hpke-sender.ts'
import { KEM_MLKEM768_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { KEYS_MEDIA_TYPE, KeyConfigError, decodeKeyConfigs } from '../../../lib/protocols/ohttp/key-config.ts'
import type { KeyConfig } from '../../../lib/protocols/ohttp/key-config.ts'
import { mediaType, notAGateway, readProblem } from '../response/refusal.ts'
import { PolarisFetchError } from '../errors.ts'
import { collect } from '../../collect.ts'
import { networkReason } from '../../network-error.ts'

/** Where a proxy is, and how to reach it. */
export interface ProxyAddress {
  readonly baseURL: string
  /** Of the OHTTP gateway. */
  readonly gatewayURL: string
  readonly fetch: typeof globalThis.fetch
}

/** `ohttp-keys`: application/ohttp-keys. `polaris-v1-spki`: SubjectPublicKeyInfo, DER. */
export type SourceKind = 'ohttp-keys' | 'polaris-v1-spki'

export interface PublishedKeys {
  readonly octets: Uint8Array
  /** How long they may be used, in seconds. */
  readonly maxAge: number
}

/**
 * Where a proxy's keys come from. Asked before the first request, and again whenever what it gave is too old or was
 * refused; whatever it throws, the request fails with. Asked once at a time.
 */
export type KeySource = (proxy: ProxyAddress, kind: SourceKind, options: KeySourceOptions) => Promise<PublishedKeys>

export interface KeySourceOptions {
  /** The keys that were there have been refused, so that what caches hold is of no use. */
  readonly fresh: boolean
}

/** Whether to use the hybrid of X25519 and ML-KEM-768, where both sides have it, only it, or never. */
export type PostQuantum = 'prefer' | 'require' | 'never'

export interface Cached<Key> {
  get (): Promise<Key>
  /** Another one than this, which was refused, unless that is still the one. */
  renew (refused: Key): Promise<Key>
  /** Makes the next `get` ask again, should this key still be the one. */
  doubt (key: Key): void
}

export interface Reloadable<Key> extends Cached<Key> {
  /** Asks now, whatever there is. */
  reload (): Promise<Key>
}

/**
 * Keeps a key for as long as it may be used. Fetches are shared by all that wait for one.
 *
 * @param load is told whether the last key was refused
 * @param forgets the key is given up if the next one cannot be had; otherwise it is used for as long as it may be
 */
export function cached<Key> (
  load: (fresh: boolean) => Promise<{ key: Key, maxAge: number }>, forgets = false
): Reloadable<Key> {
  let current: { readonly key: Key, readonly until: number } | undefined
  let loading: Promise<Key> | undefined
  let refused = false

  async function loadNow (): Promise<Key> {
    const asked = Date.now()
    try {
      const { key, maxAge } = await load(refused)
      current = { key, until: asked + maxAge * 1000 }
      refused = false
      return key
    } catch (error) {
      if (forgets) current = undefined
      throw error
    } finally {
      loading = undefined
    }
  }

  const isCurrent = () => current !== undefined && Date.now() < current.until
  const reload = () => {
    loading ??= loadNow()
    return loading
  }
  return {
    reload,
    get: async () => isCurrent() ? current!.key : reload(),
    async renew (key) {
      if (isCurrent() && current!.key !== key) return current!.key
      refused = true
      return reload()
    },
    doubt (key) {
      if (current?.key !== key) return
      refused = true
      current = undefined
    }
  }
}

const FETCH_TIMEOUT_MS = 30_000
const MAX_KEYS_BYTES = 64 * 1024
/** Where the answer does not say, and at most. */
const DEFAULT_MAX_AGE = 60
const LONGEST_MAX_AGE = 24 * 3600

/**
 * From the gateway itself (RFC 9540). Nothing authenticates the answer but TLS.
 *
 * @throws {PolarisFetchError} ERR_POLARIS_KEYS_UNAVAILABLE, ERR_POLARIS_NOT_A_GATEWAY
 */
export async function fetchKeys (
  { gatewayURL, fetch }: Pick<ProxyAddress, 'gatewayURL' | 'fetch'>, _kind?: SourceKind,
  { fresh }: KeySourceOptions = { fresh: false }
): Promise<PublishedKeys> {
  const response = await ask(fresh ? pastCaches(gatewayURL) : gatewayURL, fetch)
  if (response.status >= 500 || response.status === 429) {
    const problem = await readProblem(response)
    throw unavailable(`${gatewayURL} answered with status ${response.status}${problem?.detail === undefined
      ? ''
      : `: ${problem.detail}`}`)
  }
  if (response.status !== 200 || mediaType(response) !== KEYS_MEDIA_TYPE || response.body === null) {
    await response.body?.cancel()
    throw notAGateway(response)
  }
  const octets = await collect(response.body, MAX_KEYS_BYTES).catch(
    (cause: unknown) => { throw unavailable(`The answer of ${gatewayURL} broke off`, cause) }
  )
  if (octets === undefined) throw notAGateway(response)
  return { octets, maxAge: readMaxAge(response) }
}

/** Caches on the way that pass over `Cache-Control` in requests, as nginx does, have nothing for a URL that is new. */
export function pastCaches (url: string): string {
  const past = new URL(url)
  past.searchParams.set(
    'fresh', Array.from(crypto.getRandomValues(new Uint8Array(8)), byte => byte.toString(16).padStart(2, '0')).join('')
  )
  return past.href
}

async function ask (url: string, fetch: typeof globalThis.fetch): Promise<Response> {
  try {
    return await fetch(url, {
      headers: { accept: KEYS_MEDIA_TYPE },
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
      referrerPolicy: 'no-referrer',
      signal: AbortSignal.timeout(FETCH_TIMEOUT_MS)
    })
  } catch (cause) {
    const reason = networkReason(cause)
    throw unavailable(`${url} cannot be reached${reason === undefined ? '' : `: ${reason}`}`, cause)
  }
}

function unavailable (what: string, cause?: unknown): PolarisFetchError {
  return new PolarisFetchError(
    'ERR_POLARIS_KEYS_UNAVAILABLE', `No keys: ${what}. Nothing was sent; try again later`, { cause }
  )
}

/** RFC 9111, sections 5.2.2.1 and 5.1. */
function readMaxAge ({ headers }: Response): number {
  const control = headers.get('cache-control')?.toLowerCase() ?? ''
  if (/\bno-(?:store|cache)\b/.test(control)) return 0
  const seconds = /\bmax-age="?(\d{1,9})/.exec(control)?.[1]
  const age = /^\d{1,9}$/.exec(headers.get('age') ?? '')?.[0] ?? 0
  return seconds === undefined ? DEFAULT_MAX_AGE : Math.min(LONGEST_MAX_AGE, Math.max(0, Number(seconds) - Number(age)))
}

/**
 * The key to encrypt to, of those that were published.
 *
 * @throws {PolarisFetchError} ERR_POLARIS_NOT_A_GATEWAY, ERR_POLARIS_NO_USABLE_KEY
 */
export async function chooseKey (octets: Uint8Array, postQuantum: PostQuantum): Promise<EncryptionKey> {
  const key = await selectKey(decode(octets).filter(
    ({ kemId }) => postQuantum === 'prefer' || (kemId === KEM_MLKEM768_X25519) === (postQuantum === 'require')
  ))
  if (key !== undefined) return key
  throw new PolarisFetchError('ERR_POLARIS_NO_USABLE_KEY', postQuantum === 'require'
    ? 'There is no post-quantum key that both sides have: set POLARIS_CONTAINER_HPKE_POST_QUANTUM at the proxy, use ' +
      'a runtime with ML-KEM-768 in Web Crypto, or do without postQuantum: \'require\''
    : 'There is no key that both sides have: this runtime needs X25519 in Web Crypto, which browsers have in secure ' +
      'contexts only (https, or localhost)')
}

function decode (octets: Uint8Array): KeyConfig[] {
  try {
    return decodeKeyConfigs(octets)
  } catch (cause) {
    if (!(cause instanceof KeyConfigError)) throw cause
    throw new PolarisFetchError(
      'ERR_POLARIS_NOT_A_GATEWAY',
      'The key configurations are malformed: the gateway, or something in front of it, is broken', { cause }
    )
  }
}

/** Whether two keys are the same one, published twice. */
export function isSameKey (a: EncryptionKey, b: EncryptionKey): boolean {
  return a.config.keyId === b.config.keyId && a.config.kemId === b.config.kemId &&
    String(a.config.publicKey) === String(b.config.publicKey)
}
