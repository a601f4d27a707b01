/**
 * The HPKE keys of replicas that derive them from their RSA keys: one ring for each RSA key that this one has. Those of
 * the newest are published, and all are accepted. So replicas that are given a new RSA key one after the other, first
 * behind the old one and then in front of it, open what is encrypted to any of them at every moment
 * (docs/keys-rotate.md).
 */
import { OhttpError } from '../../protocols/ohttp/ohttp.ts'
import { derivedSecrets } from './epoch-secrets.ts'
import type { EpochSecrets, HpkeRing } from './ring.ts'
import type { KeyProvider } from '../provider.ts'

/** Providers do not say when their keys change: they are looked at this often. */
const LOOK_MS = 500

/**
 * @param onClash told, once, of two RSA keys of which some HPKE keys have the same id: only those of the published one,
 *   or the newer, can be used
 */
export function createDerivedRings (
  keys: KeyProvider, createRing: (secrets: EpochSecrets) => HpkeRing, onClash: (keyIds: readonly string[]) => void
): HpkeRing {
  const listeners: (() => void)[] = []
  const clashes = new Set<string>()
  /** By id of the RSA key, newest first. */
  let rings = new Map<string, HpkeRing>()
  let published: HpkeRing | undefined
  let closed = false
  const { promise: ready, resolve: becomeReady } = Promise.withResolvers<void>()

  const tell = () => { for (const listener of listeners) listener() }

  function look (): void {
    if (closed) return
    const listed = keys.publicKeys().map(({ keyId }) => keyId)
    const before = rings
    rings = new Map([...listed, ...keys.retiring?.() ?? []].map(keyId => [keyId, before.get(keyId) ?? open(keyId)]))
    const newest = rings.get(listed[0] ?? '')
    // It begins to serve with all of them, since another replica may publish any. Later, until the keys of the newest
    // are made, those of the one before stay the ones to encrypt to, even if their RSA key is gone.
    const isComplete = published !== undefined || [...rings.values()].every(ring => ring.isReady)
    const next = newest?.isReady && isComplete ? newest : published
    const gone = new Set([...before.values(), ...published === undefined ? [] : [published]])
    for (const ring of [...rings.values(), next]) if (ring !== undefined) gone.delete(ring)
    for (const ring of gone) ring.close()
    if (next !== published) {
      published = next
      becomeReady()
      tell()
    }
    warn()
  }

  function open (keyId: string): HpkeRing {
    const ring = createRing(derivedSecrets(keys, keyId))
    ring.onRotation(() => { if (ring === published) tell() })
    ring.ready.then(look, () => undefined)
    return ring
  }

  function warn (): void {
    const owners = new Map<string, string>()
    for (const [owner, ring] of rings) {
      for (const { keyId, kemId } of ring.keys()) {
        const other = owners.get(`${kemId} ${keyId}`) ?? owner
        owners.set(`${kemId} ${keyId}`, other)
        const pair = [other, owner]
        if (other === owner || clashes.has(pair.join())) continue
        clashes.add(pair.join())
        onClash(pair)
      }
    }
  }

  /** The published one first. */
  function inOrder (): Set<HpkeRing> {
    return new Set([...published === undefined ? [] : [published], ...rings.values()])
  }

  const timer = setInterval(look, LOOK_MS).unref()
  keys.ready.then(look, () => undefined)

  return {
    ready,
    get isReady () { return published !== undefined },
    keys: () => [...inOrder()].flatMap(ring => ring === published || published === undefined
      ? ring.keys()
      : ring.keys().map(key => key.state === 'active' ? { ...key, state: 'retiring' as const } : key)),

    publication () {
      if (published === undefined) throw new OhttpError('ERR_OHTTP_KEY')
      return published.publication()
    },

    decapsulate (header, enc) {
      for (const ring of inOrder()) {
        if (ring.keys().some(({ keyId, kemId }) => keyId === header.keyId && kemId === header.kemId)) {
          return ring.decapsulate(header, enc)
        }
      }
      throw new OhttpError('ERR_OHTTP_KEY')
    },

    * decapsulateByEach (kemId, enc) {
      for (const ring of inOrder()) yield * ring.decapsulateByEach(kemId, enc)
    },

    onRotation (listener) { listeners.push(listener) },

    close () {
      closed = true
      clearInterval(timer)
      for (const ring of inOrder()) ring.close()
      rings.clear()
      published = undefined
    }
  }
}
