/** The contract between the TLS listener and what has its key: a ring of keys made here, or files. */
import { createHash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { AttestedKey } from '../protocols/attestation.ts'

/** What the listener proves itself with. */
export interface Credentials {
  /** The certificate, and those above it, PEM. */
  readonly cert: string
  /** The private key, PEM. */
  readonly key: string
  /** SHA-256 of its SubjectPublicKeyInfo, base64: what `curl --pinnedpubkey` calls `sha256//`. */
  readonly pin: string
}

/** For people and tools. */
export interface ListedTlsKey {
  readonly pin: string
  readonly algorithm: string
  readonly state: 'pending' | 'active' | 'retiring'
  /** RFC 3339. */
  readonly notBefore: string
  readonly notAfter: string
  /** SubjectPublicKeyInfo, PEM. */
  readonly publicKey: string
}

export interface TlsKeys {
  /** Undefined while there is nothing to serve with. */
  current (): Credentials | undefined
  /** Why there is nothing to serve with, for operators. */
  problem (): string | undefined
  /** What evidence has to cover: the key that serves first, then those that are about to, or did until just now. */
  attested (): readonly AttestedKey[]
  keys (): readonly ListedTlsKey[]
  /** Calls the listener when other keys have to be covered. */
  onChange (listener: () => void): void
  /** Calls the listener when another key is to serve from now on. */
  onActive (listener: () => void): void
  /** Begins; keys serve once `covers` says that evidence covers them. */
  start (covers: (key: AttestedKey) => boolean): void
  close (): void
  /** Of an authority, if it issues them. */
  readonly certificates?: AuthorityCertificates
}

export interface AuthorityCertificates {
  /** Milliseconds since 1970; undefined before the first was issued. */
  expiry (): number | undefined
  /** Attempts that failed since one that did not. */
  failures (): number
  /** The authority may come: connections are accepted, on the port that it asks for. */
  reachable (): void
  /** What to prove with to an authority that asks for this server name (tls-alpn-01). */
  tlsAnswer (serverName: string): Omit<Credentials, 'pin'> | undefined
  /** What to answer an authority that asks for this token (http-01). */
  httpAnswer (token: string): string | undefined
}

export function pinOf (spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64')
}

/** Such as `P-256` or `rsa`. */
export function algorithmOf ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  const curve = asymmetricKeyDetails?.namedCurve
  return curve === 'prime256v1' ? 'P-256' : curve ?? asymmetricKeyType ?? 'unknown'
}
