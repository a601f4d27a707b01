/**
 * The vectors of the binding, for scripts/vectors.ts. The keys are not keys but octets of the right shape, since the
 * binding only hashes them.
 */
import { bindingPreimage, maaRuntimeData, reportData, sha256 } from '../lib/protocols/attestation.ts'
import type { AttestedKey } from '../lib/protocols/attestation.ts'
import { encodeBase64url } from '../lib/protocols/base64url.ts'

/** 0x00, 0x01, … */
const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)
const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex')

const v1: AttestedKey = { kind: 'polaris-v1-spki', value: counting(64) }
const older: AttestedKey = { kind: 'polaris-v1-spki', value: counting(64, 100) }
const ohttp: AttestedKey = { kind: 'ohttp-keys', value: counting(45, 50) }
const tls: AttestedKey = { kind: 'tls-spki', value: counting(91, 200) }

const cases: Array<{ name: string, nonce: Uint8Array, keys: AttestedKey[] }> = [
  { name: 'the shortest nonce, no key', nonce: counting(16), keys: [] },
  { name: 'one v1 key', nonce: counting(32), keys: [v1] },
  { name: 'a key of each kind', nonce: counting(32, 32), keys: [v1, ohttp, tls] },
  { name: 'the same keys in another order', nonce: counting(32, 32), keys: [ohttp, v1, tls] },
  { name: 'two keys of one kind during rotation, the longest nonce', nonce: counting(64, 128), keys: [v1, older] }
]

/** What docs/vectors/attestation.json holds. */
export async function attestationVectors (): Promise<object> {
  const vectors = await Promise.all(cases.map(async ({ name, nonce, keys }) => {
    const preimage = await bindingPreimage(nonce, keys)
    const binding = await sha256(preimage)
    return {
      name,
      nonce: hex(nonce),
      keys: await Promise.all(keys.map(async ({ kind, value }) => ({ kind, value: hex(value), sha256: hex(await sha256(value)) }))),
      preimage: hex(preimage),
      binding: hex(binding),
      reportData: hex(reportData(binding)),
      googleNonce: encodeBase64url(binding),
      maaRuntimeData: maaRuntimeData(binding)
    }
  }))
  return {
    about: 'Binding of nonce and keys to attestation evidence; see docs/attestation.md. All octets are hexadecimal. The keys are placeholders.',
    vectors
  }
}
