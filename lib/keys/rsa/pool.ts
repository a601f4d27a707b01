/**
 * RSA-OAEP-256 private-key operations off the event loop, on all cores, with a bounded queue.
 *
 * WebCrypto decrypts in libuv's thread pool, but one operation at a time per key object; so the same key is imported
 * once per operation that may run at the same time. No more than that many operations are ever in the thread pool:
 * whatever else needs it (DNS, files) waits for one of them at most, and the rest wait here, where they are counted.
 */
import { webcrypto } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { KeysBusyError, UnwrapError } from '../provider.ts'
import type { Bytes } from '../../protocols/bytes.ts'

type CryptoKey = webcrypto.CryptoKey

export interface RsaPoolOptions {
  /** Operations that run at the same time. Default: the number of cores, at most 16. */
  readonly concurrency?: number
  /** Operations that may wait for their turn. Default: 512. */
  readonly maxPending?: number
}

export interface RsaPool {
  /**
   * RSA-OAEP decryption (RFC 8017, section 7.1; SHA-256, MGF1-SHA-256, no label). `wrapped` is as long as the modulus
   * and must not change until the promise settles.
   *
   * @throws {UnwrapError} wrong length, or it cannot be decrypted
   * @throws {KeysBusyError} too many wait already, or the pool is closed
   */
  unwrap (wrapped: Uint8Array): Promise<Bytes>

  /** Operations accepted and not finished, running ones included. */
  readonly pending: number

  /** Accepts nothing more. What was accepted is finished, and then the key is released. */
  close (): void
}

interface Job {
  readonly wrapped: Uint8Array
  readonly resolve: (key: Bytes) => void
  readonly reject: (error: Error) => void
}

const MAX_CONCURRENCY = 16
const MAX_PENDING = 512

/**
 * Imports an RSA private key (PKCS#8 DER) as non-extractable. Takes ownership of `pkcs8`: the buffer is overwritten
 * with zeros before the promise settles, whatever the outcome.
 */
export async function createRsaPool (pkcs8: Uint8Array, options: RsaPoolOptions = {}): Promise<RsaPool> {
  const concurrency = options.concurrency ?? Math.min(availableParallelism(), MAX_CONCURRENCY)
  const maxPending = options.maxPending ?? MAX_PENDING
  const idle = await importCopies(pkcs8, concurrency)
  const modulusLength = modulusOctets(idle)
  const waiting: Job[] = []
  let running = 0
  let closed = false

  /** Works through the queue with one key, and never rejects. */
  async function work (key: CryptoKey, first: Job): Promise<void> {
    running++
    for (let job: Job | undefined = first; job !== undefined; job = waiting.shift()) {
      try {
        job.resolve(new Uint8Array(await webcrypto.subtle.decrypt('RSA-OAEP', key, job.wrapped)))
      } catch (cause) {
        job.reject(new UnwrapError({ cause }))
      }
    }
    running--
    if (!closed) idle.push(key)
  }

  return {
    async unwrap (wrapped) {
      if (closed) throw new KeysBusyError()
      if (wrapped.length !== modulusLength) throw new UnwrapError()
      const key = idle.pop()
      if (key === undefined && waiting.length >= maxPending) throw new KeysBusyError()
      return new Promise((resolve, reject) => {
        const job = { wrapped, resolve, reject }
        if (key === undefined) waiting.push(job)
        else work(key, job)
      })
    },

    get pending () {
      return waiting.length + running
    },

    close () {
      closed = true
      idle.length = 0
    }
  }
}

async function importCopies (pkcs8: Uint8Array, count: number): Promise<CryptoKey[]> {
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' }
  // Settled, not all: no import may still be reading when the buffer is wiped.
  const imports = await Promise.allSettled(Array.from({ length: Math.max(1, count) }, () =>
    webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['decrypt'])))
  pkcs8.fill(0)
  return imports.map(result => {
    if (result.status === 'rejected') throw new TypeError('Not an RSA private key in PKCS#8', { cause: result.reason })
    return result.value
  })
}

/** The length of the modulus, in octets: the length of everything that was wrapped to the key. */
function modulusOctets (keys: readonly CryptoKey[]): number {
  const { modulusLength } = keys[0]?.algorithm as webcrypto.RsaHashedKeyAlgorithm
  if (modulusLength < 2048 || modulusLength > 8192) {
    throw new RangeError(`RSA keys have 2048 to 8192 bits, not ${modulusLength}`)
  }
  return Math.ceil(modulusLength / 8)
}
