/**
 * The binding: what ties a nonce, the keys, the claims and the evidence of devices to the evidence of the platform.
 *
 *     lp(x)         = uint16be(length of x) || x
 *     base          = lp("polaris attestation binding v2") || lp(nonce)
 *                     || uint16be(number of keys)   || (lp(kind) || lp(SHA-256(key)))*
 *                     || uint16be(number of claims) || (lp(name) || lp(SHA-256(value)))*
 *     pre-image     = base || uint16be(number of device evidence) || (lp(media type) || lp(SHA-256(value)))*
 *     binding       = SHA-256(pre-image)
 *     report data   = binding || 32 zero bytes
 *     device nonce  = SHA-256(lp("polaris attestation device nonce v2") || lp(SHA-256(base)))
 *
 * Devices answer their nonce before their evidence is bound, so that all evidence answers the same challenge.
 *
 * Version 1 had neither claims nor devices: lp("polaris attestation binding v1") || lp(nonce) || keys as above.
 *
 * SHA-256, because it is the one hash that every platform carries whole: 32 bytes fit the 64 of a hardware report, 43
 * characters fit a nonce of Google's (10 to 74), and Azure's sidecar itself puts SHA-256(runtime data) || 32 zero bytes
 * into the report, so that the pre-image can be its runtime data and the report data comes out the same everywhere.
 */
import type { AttestedKey, Claim, TypedValue } from './types.ts'
import { encodeBase64url } from '../base64url.ts'
import { concat, uint16 } from '../bytes.ts'
import type { Bytes } from '../bytes.ts'

export const BINDING_LABEL = 'polaris attestation binding v2'
export const BINDING_LABEL_V1 = 'polaris attestation binding v1'
export const DEVICE_NONCE_LABEL = 'polaris attestation device nonce v2'
export const BINDING_BYTES = 32
/** REPORT_DATA of an SEV-SNP report, REPORTDATA of a TDX quote. */
export const REPORT_DATA_BYTES = 64
export const MIN_NONCE_BYTES = 16
export const MAX_NONCE_BYTES = 64
export const MAX_KEYS = 16

/** What is bound beside nonce and keys. Lists are in the order of the document, which is part of what is bound. */
export interface BoundToo {
  readonly claims?: readonly Claim[]
  readonly devices?: readonly TypedValue[]
}

export async function sha256 (bytes: Uint8Array): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Bytes))
}

/**
 * The bytes whose SHA-256 is bound into the evidence.
 *
 * @throws {RangeError} the nonce or the number of keys is out of bounds
 */
export async function bindingPreimage (
  nonce: Uint8Array, keys: readonly AttestedKey[], { claims = [], devices = [] }: BoundToo = {}
): Promise<Bytes> {
  return concat(await bindingBase(nonce, keys, claims), await list(devices))
}

/** The same of a document of version 1, which has neither claims nor devices. @throws {RangeError} */
export async function bindingPreimageV1 (nonce: Uint8Array, keys: readonly AttestedKey[]): Promise<Bytes> {
  return start(BINDING_LABEL_V1, nonce, keys)
}

/**
 * What devices answer, 32 bytes: it depends on everything that is bound, but for their own evidence.
 *
 * @throws {RangeError} the nonce or the number of keys is out of bounds
 */
export async function deviceNonce (
  nonce: Uint8Array, keys: readonly AttestedKey[], claims: readonly Claim[] = []
): Promise<Bytes> {
  const base = await bindingBase(nonce, keys, claims)
  return sha256(concat(prefixed(text(DEVICE_NONCE_LABEL)), prefixed(await sha256(base))))
}

/** SHA-256 of the pre-image, 32 bytes. @throws {RangeError} */
export async function bindingDigest (
  nonce: Uint8Array, keys: readonly AttestedKey[], too: BoundToo = {}
): Promise<Bytes> {
  return sha256(await bindingPreimage(nonce, keys, too))
}

/** The 64 bytes that go into a hardware report: the binding, then zeros. */
export function reportData (binding: Uint8Array): Bytes {
  if (binding.length !== BINDING_BYTES) throw new RangeError('A binding has 32 bytes')
  const data = new Uint8Array(REPORT_DATA_BYTES)
  data.set(binding)
  return data
}

/**
 * What Azure Attestation is given as runtime data, as JSON text; it comes back as claim `x-ms-runtime`. `nonce` is the
 * binding in base64url.
 */
export function maaRuntimeData (binding: Uint8Array): string {
  return JSON.stringify({ nonce: encodeBase64url(binding) })
}

async function bindingBase (nonce: Uint8Array, keys: readonly AttestedKey[], claims: readonly Claim[]): Promise<Bytes> {
  return concat(await start(BINDING_LABEL, nonce, keys), await list(claims))
}

async function start (label: string, nonce: Uint8Array, keys: readonly AttestedKey[]): Promise<Bytes> {
  if (nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) {
    throw new RangeError('A nonce has 16 to 64 bytes')
  }
  if (keys.length > MAX_KEYS) throw new RangeError(`At most ${MAX_KEYS} keys are covered`)
  return concat(prefixed(text(label)), prefixed(nonce), await list(keys.map(({ kind, value }) => [kind, value])))
}

/** A list of names, each with a hash. */
async function list (items: ReadonlyArray<readonly [name: string, value: string | Uint8Array]>): Promise<Bytes> {
  const parts = await Promise.all(items.map(async ([name, value]) =>
    concat(prefixed(text(name)), prefixed(await sha256(typeof value === 'string' ? text(value) : value)))))
  return concat(uint16(items.length), ...parts)
}

/** Nothing that is prefixed comes near the 65535 bytes that the prefix allows. */
function prefixed (bytes: Uint8Array): Bytes {
  return concat(uint16(bytes.length), bytes)
}

function text (value: string): Uint8Array {
  return new TextEncoder().encode(value)
}
