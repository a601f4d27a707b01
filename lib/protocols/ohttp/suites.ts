/** The HPKE algorithms that we speak: identifiers and sizes in octets (RFC 9180, section 7; draft-ietf-hpke-pq). */

export const KEM_X25519 = 0x0020
/** MLKEM768-X25519, also known as X-Wing. */
export const KEM_MLKEM768_X25519 = 0x647a
export const KDF_HKDF_SHA256 = 0x0001
export const AEAD_AES_128_GCM = 0x0001
export const AEAD_AES_256_GCM = 0x0002
export const AEAD_CHACHA20_POLY1305 = 0x0003

/** A KDF and an AEAD, by identifier: what a key configuration offers and a client picks one of. */
export interface SymmetricSuite {
  readonly kdfId: number
  readonly aeadId: number
}

/** Sizes of public key and encapsulated key. */
export interface KemSizes {
  readonly Npk: number
  readonly Nenc: number
}

const KEM_NAMES: ReadonlyMap<number, string> = new Map([
  [KEM_X25519, 'X25519'],
  [KEM_MLKEM768_X25519, 'MLKEM768-X25519']
])

/** For people. undefined for a KEM that we do not speak. */
export function kemName (kemId: number): string | undefined {
  return KEM_NAMES.get(kemId)
}

const KEMS: ReadonlyMap<number, KemSizes> = new Map([
  [KEM_X25519, { Npk: 32, Nenc: 32 }],
  [KEM_MLKEM768_X25519, { Npk: 1216, Nenc: 1120 }]
])

/** Sizes of key, nonce and tag. */
export interface AeadSizes {
  readonly Nk: number
  readonly Nn: number
  readonly Nt: number
}

const AEADS: ReadonlyMap<number, AeadSizes> = new Map([
  [AEAD_AES_128_GCM, { Nk: 16, Nn: 12, Nt: 16 }],
  [AEAD_AES_256_GCM, { Nk: 32, Nn: 12, Nt: 16 }],
  [AEAD_CHACHA20_POLY1305, { Nk: 32, Nn: 12, Nt: 16 }]
])

/** undefined for a KEM that we do not speak. */
export function kemSizes (kemId: number): KemSizes | undefined {
  return KEMS.get(kemId)
}

/** undefined for an AEAD that we do not speak. */
export function aeadSizes (aeadId: number): AeadSizes | undefined {
  return AEADS.get(aeadId)
}

export function isSupported ({ kdfId, aeadId }: SymmetricSuite): boolean {
  return kdfId === KDF_HKDF_SHA256 && AEADS.has(aeadId)
}
