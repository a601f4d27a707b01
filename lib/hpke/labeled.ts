/** LabeledExtract and LabeledExpand of HPKE (RFC 9180, section 4), with HKDF-SHA256. */
import { expand, extract } from './hmac.ts'

const VERSION = Buffer.from('HPKE-v1')

export interface Labeled {
  extract (salt: Uint8Array, label: Uint8Array, ikm: Uint8Array): Buffer
  /** length: at most 32 octets. */
  expand (prk: Uint8Array, label: Uint8Array, info: Uint8Array, length: number): Buffer
}

/** suiteId: "KEM" and the KEM, or "HPKE" and all three algorithms. */
export function createLabeled (suiteId: Uint8Array): Labeled {
  const prefix = Buffer.concat([VERSION, suiteId])
  const prefixes = Array.from({ length: 33 }, (_, length) => Buffer.concat([Uint8Array.of(0, length), prefix]))
  return {
    extract: (salt, label, ikm) => extract(salt, prefix, label, ikm),
    expand (prk, label, info, length) {
      const lengthAndPrefix = prefixes[length]
      if (lengthAndPrefix === undefined) throw new RangeError('At most 32 octets')
      return expand(prk, length, lengthAndPrefix, label, info)
    }
  }
}
