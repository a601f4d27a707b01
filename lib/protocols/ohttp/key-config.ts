/**
 * OHTTP key configurations (RFC 9458, section 3): which key to encrypt to, with which algorithms.
 *
 *     application/ohttp-keys = (length(2) configuration)*
 *     configuration = key_id(1) kem_id(2) public_key(Npk) algorithms_length(2) (kdf_id(2) aead_id(2))+
 */
import { concat, readUint16, uint16 } from '../bytes.ts'
import type { Bytes } from '../bytes.ts'
import { isSupported, kemSizes } from './suites.ts'
import type { SymmetricSuite } from './suites.ts'

export const KEYS_MEDIA_TYPE = 'application/ohttp-keys'

export interface KeyConfig {
  /** 0 to 255. */
  readonly keyId: number
  readonly kemId: number
  readonly publicKey: Uint8Array
  /** At least one, the preferred first. May hold suites that we do not speak. */
  readonly suites: readonly SymmetricSuite[]
}

export class KeyConfigError extends Error {
  override readonly name = 'KeyConfigError'
  readonly code = 'ERR_OHTTP_KEY_CONFIG'
}

/** One configuration, without the length that a list puts in front. @throws {KeyConfigError} */
export function encodeKeyConfig (config: KeyConfig): Bytes {
  const { keyId, kemId, publicKey, suites } = config
  const sizes = kemSizes(kemId)
  if (sizes === undefined || publicKey.length !== sizes.Npk) {
    throw new KeyConfigError('The public key does not fit the KEM')
  }
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 0xff) throw new KeyConfigError('The key id is not an octet')
  if (suites.length === 0) throw new KeyConfigError('There are no algorithms')
  return concat(
    Uint8Array.of(keyId), uint16(kemId), publicKey, uint16(4 * suites.length),
    uint16(...suites.flatMap(({ kdfId, aeadId }) => [kdfId, aeadId]))
  )
}

/** The body of application/ohttp-keys, the preferred configuration first. @throws {KeyConfigError} */
export function encodeKeyConfigs (configs: readonly KeyConfig[]): Bytes {
  return concat(...configs.map(encodeKeyConfig).flatMap(config => [uint16(config.length), config]))
}

/**
 * Reads application/ohttp-keys. Configurations with a KEM that we do not speak are skipped, as the length of their key
 * is unknown; of the others, those without a suite that we speak too.
 *
 * @throws {KeyConfigError} one is malformed, which voids all of them (RFC 9458, section 3.2)
 */
export function decodeKeyConfigs (list: Uint8Array): KeyConfig[] {
  const configs: KeyConfig[] = []
  for (let offset = 0; offset < list.length;) {
    const length = list.length - offset < 2 ? Infinity : readUint16(list, offset)
    offset += 2
    if (offset + length > list.length) throw new KeyConfigError('The list ends within a configuration')
    const config = decodeKeyConfig(list.subarray(offset, offset + length))
    if (config?.suites.some(isSupported) === true) configs.push(config)
    offset += length
  }
  return configs
}

/**
 * One configuration, without length; undefined if its KEM is one that we do not speak.
 *
 * @throws {KeyConfigError}
 */
export function decodeKeyConfig (bytes: Uint8Array): KeyConfig | undefined {
  const [keyId] = bytes
  // The least there can be: a header, a key and one pair of algorithms.
  if (keyId === undefined || bytes.length < 3 + 1 + 2 + 4) throw new KeyConfigError('The configuration is too short')
  const kemId = readUint16(bytes, 1)
  const sizes = kemSizes(kemId)
  if (sizes === undefined) return undefined
  const suitesAt = 3 + sizes.Npk + 2
  const suitesLength = readUint16(bytes, suitesAt - 2)
  if (bytes.length !== suitesAt + suitesLength || suitesLength === 0 || suitesLength % 4 !== 0) {
    throw new KeyConfigError('The configuration does not have the length that its content asks for')
  }
  const suites: SymmetricSuite[] = []
  for (let offset = suitesAt; offset < bytes.length; offset += 4) {
    suites.push({ kdfId: readUint16(bytes, offset), aeadId: readUint16(bytes, offset + 2) })
  }
  return { keyId, kemId, publicKey: bytes.slice(3, 3 + sizes.Npk), suites }
}
