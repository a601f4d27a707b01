/** What is asked, from the form and from the address of the page. */
import { AttestationPolicyError, parseAttestationPolicy } from '../../sdk/attestation/index.ts'
import type { AttestationPolicy } from '../../sdk/attestation/index.ts'
import { MAX_NONCE_BYTES, MIN_NONCE_BYTES } from '../../lib/protocols/attestation.ts'
import { decodeBase64url } from '../../lib/protocols/base64url.ts'

export const MAX_POLICY_CHARACTERS = 1024 * 1024

/** Something in the form is not usable. The message says what to do. */
export class InputError extends Error {
  override readonly name = 'InputError'
  readonly field: 'proxy' | 'policy' | 'nonce' | 'at'

  constructor (field: InputError['field'], message: string, options?: ErrorOptions) {
    super(message, options)
    this.field = field
  }
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/

/**
 * @returns the address with a scheme; a path stays, since a proxy can be mounted below one
 * @throws {InputError}
 */
export function parseProxy (text: string): URL {
  const trimmed = text.trim()
  if (trimmed === '') {
    throw new InputError('proxy', 'Enter the address of the proxy, such as https://proxy.example.com.')
  }
  const url = URL.parse(/^[a-z][a-z\d+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`)
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InputError('proxy', 'This is not an address. Enter one such as https://proxy.example.com.')
  }
  if (url.username !== '' || url.password !== '') {
    throw new InputError('proxy', 'Remove the user name and password: evidence is public and needs none.')
  }
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)) {
    throw new InputError('proxy', 'Pages may ask http:// addresses on this machine only. Use the https:// address.')
  }
  url.search = ''
  url.hash = ''
  return url
}

/** @throws {InputError} */
export function parsePolicy (text: string): AttestationPolicy {
  if (text.trim() === '') {
    throw new InputError(
      'policy', 'Paste a policy or choose a file: it says what you accept, so without it nothing can be judged.'
    )
  }
  if (text.length > MAX_POLICY_CHARACTERS) throw new InputError('policy', 'The policy is too long.')
  try {
    return parseAttestationPolicy(text)
  } catch (cause) {
    if (!(cause instanceof AttestationPolicyError)) throw cause
    throw new InputError('policy', `The policy cannot be used: ${cause.message}.`, { cause })
  }
}

/** @throws {InputError} */
export function parseNonce (text: string): Uint8Array | undefined {
  if (text.trim() === '') return undefined
  const nonce = decodeBase64url(text.trim())
  if (nonce === undefined || nonce.length < MIN_NONCE_BYTES || nonce.length > MAX_NONCE_BYTES) {
    throw new InputError('nonce', `The nonce has ${MIN_NONCE_BYTES} to ${MAX_NONCE_BYTES} bytes in base64url.`)
  }
  return nonce
}

/** @throws {InputError} */
export function parseTime (text: string): Date | undefined {
  if (text.trim() === '') return undefined
  const form = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?$/i
  const time = new Date(form.test(text.trim()) ? `${text.trim().replace(' ', 'T').replace(/z$/i, '')}Z` : NaN)
  if (Number.isNaN(time.getTime())) throw new InputError('at', 'Enter a time in UTC such as 2026-06-10T00:00:00Z.')
  return time
}

export interface Prefilled {
  readonly proxy?: string
  readonly policy?: string
}

/**
 * What a link brings: `#proxy=https://proxy.example.com&policy={…}`, each value percent-encoded. It is behind the `#`,
 * so that no server sees it.
 */
export function readFragment (fragment: string): Prefilled {
  const values = new URLSearchParams(fragment.replace(/^#/, ''))
  const proxy = values.get('proxy')
  const policy = values.get('policy')
  return { ...proxy !== null && { proxy }, ...policy !== null && { policy } }
}
