/**
 * The vectors of the binding, for scripts/vectors.ts. The keys are not keys but octets of the right shape, since the
 * binding only hashes them.
 */
import {
  bindingPreimage, bindingPreimageV1, deviceNonce, maaRuntimeData, reportData, sha256
} from '../lib/protocols/attestation.ts'
import type { AttestedKey, Claim, TypedValue } from '../lib/protocols/attestation.ts'
import { encodeBase64url } from '../lib/protocols/base64url.ts'

/** 0x00, 0x01, … */
const counting = (length: number, from = 0) => Uint8Array.from({ length }, (_, i) => (from + i) & 0xff)
const hex = (octets: Uint8Array) => Buffer.from(octets).toString('hex')

const v1: AttestedKey = { kind: 'polaris-v1-spki', value: counting(64) }
const older: AttestedKey = { kind: 'polaris-v1-spki', value: counting(64, 100) }
const ohttp: AttestedKey = { kind: 'ohttp-keys', value: counting(45, 50) }
const tls: AttestedKey = { kind: 'tls-spki', value: counting(91, 200) }

const weakenings: Claim = ['weakenings', '["plaintext-requests"]']
const unknown: Claim = ['of-a-later-version', 'zażółć']
const gpu: TypedValue = ['application/vnd.polaris.nvidia-gpu-evidence+json', '{"arch":"HOPPER"}']

interface Case {
  readonly name: string
  readonly version?: 1
  readonly nonce: Uint8Array
  readonly keys: readonly AttestedKey[]
  readonly claims?: readonly Claim[]
  readonly devices?: readonly TypedValue[]
}

const cases: readonly Case[] = [
  { name: 'the shortest nonce, no key', nonce: counting(16), keys: [] },
  { name: 'one v1 key', nonce: counting(32), keys: [v1] },
  { name: 'a key of each kind', nonce: counting(32, 32), keys: [v1, ohttp, tls] },
  { name: 'the same keys in another order', nonce: counting(32, 32), keys: [ohttp, v1, tls] },
  { name: 'two keys of one kind during rotation, the longest nonce', nonce: counting(64, 128), keys: [v1, older] },
  {
    name: 'a kind of key that no version knows',
    nonce: counting(32),
    keys: [ohttp, { kind: 'receipt-key', value: counting(7) }]
  },
  { name: 'claims, one of them unknown', nonce: counting(32), keys: [ohttp], claims: [weakenings, unknown] },
  { name: 'evidence of devices', nonce: counting(32), keys: [ohttp], claims: [weakenings], devices: [gpu] },
  { name: 'version 1, one v1 key', version: 1, nonce: counting(32), keys: [v1] },
  { name: 'version 1, a key of each kind', version: 1, nonce: counting(32, 32), keys: [v1, ohttp, tls] }
]

/** What docs/vectors/attestation.json holds. */
export async function attestationVectors (): Promise<object> {
  const vectors = await Promise.all(cases.map(async ({ name, version = 2, nonce, keys, claims = [], devices = [] }) => {
    const preimage = version === 1
      ? await bindingPreimageV1(nonce, keys)
      : await bindingPreimage(nonce, keys, { claims, devices })
    const binding = await sha256(preimage)
    return {
      name,
      version,
      nonce: hex(nonce),
      keys: await Promise.all(
        keys.map(async ({ kind, value }) => ({ kind, value: hex(value), sha256: hex(await sha256(value)) }))
      ),
      claims,
      ...version === 2 && { deviceNonce: hex(await deviceNonce(nonce, keys, claims)) },
      devices,
      preimage: hex(preimage),
      binding: hex(binding),
      reportData: hex(reportData(binding)),
      googleNonce: encodeBase64url(binding),
      maaRuntimeData: maaRuntimeData(binding)
    }
  }))
  return {
    about: 'Binding of nonce, keys, claims and device evidence to attestation evidence; see ' +
      'docs/attestation-document.md. Bytes are hexadecimal, text is UTF-8. The keys are placeholders.',
    vectors
  }
}
