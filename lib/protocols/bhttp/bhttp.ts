/**
 * Binary HTTP (RFC 9292): what reader and writer share. Messages, limits, errors, and the rules for what a control
 * element or a field may hold. The rules are the same in both directions: what we refuse to read we do not write.
 */

/** Name in lower case, value with one character per octet. */
export type Field = readonly [name: string, value: string]

export interface RequestHead {
  readonly method: string
  /** `http` or `https`. */
  readonly scheme: string
  /** Host and port; empty where the `host` field has it. */
  readonly authority: string
  /** Origin-form (path and query), or `*`. */
  readonly path: string
  readonly headers: readonly Field[]
}

export interface ResponseHead {
  /** 200 to 599; 100 to 199 in an informational response. */
  readonly status: number
  readonly headers: readonly Field[]
}

/** Upper bounds on everything a reader holds in memory, which a writer keeps to. Octets, unless said otherwise. */
export interface BhttpLimits {
  readonly method: number
  readonly authority: number
  readonly path: number
  readonly fieldName: number
  readonly fieldValue: number
  /** Of one field section, names and values together. */
  readonly fieldSection: number
  /** Field lines in one section. */
  readonly fields: number
  /** Informational responses before the final one. */
  readonly informational: number
  /** Zeros after the message. They are not held, but they cost time. */
  readonly padding: number
}

export const DEFAULT_BHTTP_LIMITS: BhttpLimits = {
  method: 32,
  authority: 300,
  path: 16 * 1024,
  fieldName: 256,
  fieldValue: 32 * 1024,
  fieldSection: 64 * 1024,
  fields: 200,
  informational: 16,
  padding: 1024 * 1024
}

export type BhttpErrorCode = 'ERR_BHTTP_MALFORMED' | 'ERR_BHTTP_TRUNCATED' | 'ERR_BHTTP_LIMIT'

/** The message breaks RFC 9292, ends too early, or is larger than the limits. Never holds a part of the message. */
export class BhttpError extends Error {
  override readonly name = 'BhttpError'
  readonly code: BhttpErrorCode

  constructor (code: BhttpErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

// RFC 9110, section 5.6.2
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
// A token without upper case, which RFC 9292, section 3.6 rules out. It cannot start with ':': no pseudo-fields either.
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
// Neither control characters (but tab) nor, at the ends, white space: RFC 9110, section 5.5.
const FIELD_VALUE = /^(?![\t ])[\t\x20-\x7e\x80-\xff]*(?<![\t ])$/
// uri-host [ ":" port ] of RFC 9110, section 7.2: no user information.
const AUTHORITY = /^[A-Za-z0-9\-._~!$&'()*+,;=%:[\]]*$/
// Origin-form or '*'. Wider than RFC 3986, because browsers send more, but never white space, controls or a fragment.
const PATH = /^(?:\/[\x21\x22\x24-\x7e]*|\*)$/

export function malformed (message: string): BhttpError {
  return new BhttpError('ERR_BHTTP_MALFORMED', message)
}

export function tooLarge (what: string): BhttpError {
  return new BhttpError('ERR_BHTTP_LIMIT', `${what} is over the limit`)
}

/** @throws {BhttpError} */
export function checkRequestControl (method: string, scheme: string, authority: string, path: string): void {
  if (!TOKEN.test(method)) throw malformed('The method is not a token')
  if (scheme !== 'https' && scheme !== 'http') throw malformed('The scheme is neither http nor https')
  if (!AUTHORITY.test(authority)) throw malformed('The authority is not a host with an optional port')
  if (!PATH.test(path)) throw malformed('The path is not in origin-form')
}

/** @throws {BhttpError} */
export function checkFinalStatus (status: number): void {
  if (!(status >= 200 && status <= 599)) throw malformed('The status is not one of a final response')
}

export function isInformational (status: number): boolean {
  return status >= 100 && status <= 199
}

/** @throws {BhttpError} */
export function checkField (name: string, value: string): void {
  if (!FIELD_NAME.test(name)) throw malformed('A field name is not a token in lower case')
  if (!FIELD_VALUE.test(value)) throw malformed('A field value has characters that do not belong there')
}
