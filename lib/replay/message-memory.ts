/**
 * Remembers the messages of Polaris v1 that were opened. They carry no date and do not say what they are for: a
 * recorded one could be sent again in any place, with the sender's own response key, and would be decrypted for the
 * sender.
 */
import { createHash } from 'node:crypto'
import { createDigestSet } from './digest-set.ts'
import type { DigestSet } from './digest-set.ts'
import { DIGEST_BYTES, ReplayStoreError } from './store.ts'
import type { ReplayStore, StoreUsage } from './store.ts'

export interface MessageMemory {
  /**
   * Takes the digests of a request's messages, once all of them were authenticated. True if none came before, and no
   * two are the same; from then on each of them is false.
   *
   * @param keyId of the RSA key that opened them
   * @throws {ReplayStoreError} it cannot tell: the request must not be forwarded
   */
  admit (keyId: string, digests: readonly Buffer[]): boolean | Promise<boolean>
  /** Says why it cannot tell at present; undefined if it can. */
  problem (): string | undefined
  /** How full it is, if it is in this process: for the key that clients encrypt to, if it remembers by key. */
  usage? (): StoreUsage
  close (): Promise<void>
}

/**
 * What a message is remembered by: the first 16 bytes of SHA-256 over the key's id, the wrapped key and the tag. These
 * are the decoded bytes: one message can be written in several ways, and only its author can change its bytes and have
 * them authenticated.
 */
export function messageDigest (keyId: string, wrappedKey: Uint8Array, authTag: Uint8Array): Buffer {
  return createHash('sha256').update(`polaris-v1 message\n${keyId}\n`).update(wrappedKey).update(authTag).digest()
    .subarray(0, DIGEST_BYTES)
}

export interface KeyMemoryOptions {
  /** Ids of the keys that still open messages, the one that clients encrypt to first. */
  readonly keyIds: () => readonly string[]
  /** Most messages of one key. */
  readonly capacity: number
  /**
   * Called once for the key that clients encrypt to, when three quarters of its room are taken: time for another key.
   */
  readonly onFilling: () => void
}

/** Remembers for as long as the key lives: for keys that this process has made and no other has. */
export function createKeyMemory ({ keyIds, capacity, onFilling }: KeyMemoryOptions): MessageMemory {
  const seen = new Map<string, DigestSet>()
  let filling: string | undefined

  return {
    admit (keyId, digests) {
      const [newest, ...others] = keyIds()
      for (const id of seen.keys()) if (id !== newest && !others.includes(id)) seen.delete(id)
      // Its messages are forgotten.
      if (keyId !== newest && !others.includes(keyId)) return false
      const set = seen.get(keyId) ?? createDigestSet()
      seen.set(keyId, set)
      const fresh = new Set(digests.map(digest => digest.toString('latin1')))
      if (fresh.size < digests.length || digests.some(digest => set.has(digest))) return false
      if (set.size + digests.length > capacity) {
        // Refused as one that does not open: that has clients fetch the new key.
        if (keyId !== newest) return false
        throw new ReplayStoreError('The message memory is full')
      }
      for (const digest of digests) set.add(digest)
      if (keyId === newest && filling !== newest && set.size >= capacity * 3 / 4) {
        filling = newest
        onFilling()
      }
      return true
    },
    problem: () => undefined,
    usage: () => ({ entries: seen.get(keyIds()[0] ?? '')?.size ?? 0, capacity }),
    close: async () => undefined
  }
}

/** Remembers for as long as a replay store does: for keys that outlive this process or are shared. */
export function createWindowMemory (store: ReplayStore): MessageMemory {
  return {
    async admit (_keyId, digests) {
      const answers = await Promise.all(digests.map(async digest => store.admit(digest)))
      return answers.every(isNew => isNew)
    },
    problem: () => store.problem(),
    ...store.usage !== undefined && { usage: store.usage },
    close: () => store.close()
  }
}
