/** Opens requests of the legacy protocol: path and headers from two header messages, the body from a third. */
import { createDecipheriv, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import secureJson from 'secure-json-parse'
import type { ByteBudget } from '../../streams/budget.ts'
import type { Exchange } from '../exchange.ts'
import { openedHeaders } from '../../http/headers.ts'
import type { Admission } from '../../keys/rsa/admission.ts'
import { UnwrapError } from '../../keys/provider.ts'
import type { KeyProvider } from '../../keys/provider.ts'
import { Problem } from '../../http/problems.ts'
import { decodeBase64 } from '../../protocols/base64.ts'
import { MessageError, checkIV, checkKey, parseMessageHeader, splitMessage } from '../../protocols/polaris-v1.ts'
import { hasBody, originForm } from '../../http/incoming.ts'
import type { IncomingRequest, OuterHead } from '../../http/incoming.ts'
import { openBody } from './body.ts'
import type { UnwrapSecrets } from './body.ts'
import { createSealer, parseResponseKey } from './seal.ts'

export interface PolarisV1Options {
  readonly urlHeader: string
  readonly secureHeader: string
  readonly responsePublicKeyHeader: string
  /** Lower-case names of the proxy's own headers. */
  readonly own: ReadonlySet<string>
  /** Responses are sealed. */
  readonly enableOutputEncryption: boolean
  readonly v1AllowUnboundResponseKey: boolean
  readonly maxBodyBytes: number
  /** Lets requests in to the work on their headers; the work on a body that follows is not turned away here. */
  readonly admit: Admission
}

/** Private-key operations of one request: a key and an IV for each of three messages. */
export const UNWRAPS_PER_REQUEST = 6

/** Whether a request carries a header of the legacy protocol. */
export function isPolarisV1 (
  { headers }: OuterHead, { urlHeader, secureHeader }: Pick<PolarisV1Options, 'urlHeader' | 'secureHeader'>
): boolean {
  return headers[urlHeader] !== undefined || headers[secureHeader] !== undefined
}

/**
 * @throws {Problem} cannot-open, whatever the reason; body-too-large, response-key-required, overloaded
 * @throws {KeysBusyError}
 */
export async function openPolarisV1 (request: IncomingRequest, keys: KeyProvider, budget: ByteBudget, options: PolarisV1Options): Promise<Exchange> {
  if (options.enableOutputEncryption && request.headers[options.responsePublicKeyHeader] === undefined) throw new Problem('response-key-required')
  const unwrap = unwrapper(keys)
  try {
    const [target, inner] = await options.admit(() => Promise.all([
      openHeader(request, options.urlHeader, unwrap).then(readTarget),
      openHeader(request, options.secureHeader, unwrap).then(readHeaders)
    ]))
    const responseKey = boundResponseKey(request, inner, options)
    const headers = [...openedHeaders(inner, options.own), ...request.forwarding()]
    const opened = hasBody(request) ? await openBody(request, unwrap, budget, options.maxBodyBytes) : undefined
    const sealer = responseKey === undefined ? undefined : createSealer(responseKey, budget, options.maxBodyBytes)
    return {
      protocol: 'polaris-v1',
      method: request.method,
      target,
      headers,
      body: opened?.body,
      bodyLength: opened?.length,
      ...(sealer !== undefined && { seal: sealer.seal }),
      release () {
        opened?.release()
        sealer?.release()
      }
    }
  } catch (error) {
    throw refusal(error)
  }
}

/** One answer for all that cannot be opened; what is the proxy's or the client's connection's fault stays as it is. */
function refusal (error: unknown): unknown {
  const unopenable = error instanceof MessageError || error instanceof UnwrapError ||
    (error instanceof Problem && error.code === 'bad-request')
  return unopenable ? new Problem('cannot-open', { cause: error }) : error
}

/**
 * Messages do not say which key version they were made for. The first one of a request finds out, trying newest first;
 * the others follow it.
 */
function unwrapper (keys: KeyProvider): UnwrapSecrets {
  const keyIds = [...keys.publicKeys().map(({ keyId }) => keyId), ...keys.retiring?.() ?? []]
  let chosen: Promise<{ keyId: string, key: Uint8Array }> | undefined

  async function choose (wrapped: Uint8Array): Promise<{ keyId: string, key: Uint8Array }> {
    for (const keyId of keyIds) {
      try {
        return { keyId, key: await keys.unwrap(keyId, wrapped) }
      } catch (error) {
        if (!(error instanceof UnwrapError)) throw error
      }
    }
    throw new UnwrapError()
  }

  return async function unwrapSecrets (header) {
    const { wrappedKey, wrappedIV, authTag } = parseMessageHeader(header)
    const [only] = keyIds
    let key: Uint8Array
    let iv: Uint8Array
    if (only !== undefined && keyIds.length === 1) {
      [key, iv] = await Promise.all([keys.unwrap(only, wrappedKey), keys.unwrap(only, wrappedIV)])
    } else if (chosen === undefined) {
      chosen = choose(wrappedKey)
      const { keyId, key: first } = await chosen
      key = first
      iv = await keys.unwrap(keyId, wrappedIV)
    } else {
      const { keyId } = await chosen
      ;[key, iv] = await Promise.all([keys.unwrap(keyId, wrappedKey), keys.unwrap(keyId, wrappedIV)])
    }
    checkKey(key)
    checkIV(iv)
    return { secrets: { key, iv }, authTag }
  }
}

/** The plaintext of a header message, or undefined where the header is absent. Small: bounded by the header limit. */
async function openHeader ({ headers }: IncomingRequest, name: string, unwrap: UnwrapSecrets): Promise<string | undefined> {
  const text = headers[name]
  if (text === undefined) return undefined
  const message = typeof text === 'string' ? decodeBase64(text) : undefined
  if (message === undefined) throw new MessageError()
  const { header, ciphertext } = splitMessage(message)
  const { secrets, authTag } = await unwrap(header)
  try {
    const decipher = createDecipheriv('aes-256-gcm', createSecretKey(secrets.key), secrets.iv, { authTagLength: authTag.length }).setAuthTag(authTag)
    const plaintext = Buffer.concat([decipher.update(ciphertext), decipher.final()])
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext)
  } catch (cause) {
    throw new MessageError({ cause })
  }
}

/** The SDK sends no url for `/`. */
function readTarget (url = '/'): string {
  return originForm(url)
}

/** The decrypted header object as pairs. Values are text, or numbers and booleans, which older clients did not quote. */
function readHeaders (json: string | undefined): [string, string][] {
  if (json === undefined) return []
  let parsed: unknown
  try {
    parsed = secureJson.parse(json, { protoAction: 'error', constructorAction: 'error' })
  } catch {
    // The parser's own error quotes what it was given.
    throw new MessageError()
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new MessageError()
  const seen = new Set<string>()
  return Object.entries(parsed).map(([name, value]: [string, unknown]) => {
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') throw new MessageError()
    if (seen.size === seen.add(name.toLowerCase()).size) throw new MessageError()
    return [name, String(value)]
  })
}

/**
 * The binding rule: the outer url and response key are attacker-writable, so where the client put its own copies into
 * the encrypted headers they must agree, and only a response key that it did put there is sealed to.
 */
function boundResponseKey ({ headers }: IncomingRequest, inner: readonly [string, string][], options: PolarisV1Options): KeyObject | undefined {
  const copy = (wanted: string) => inner.find(([name]) => name.toLowerCase() === wanted)?.[1]
  for (const name of [options.urlHeader, options.responsePublicKeyHeader]) {
    const bound = copy(name)
    if (bound !== undefined && bound !== headers[name]) throw new MessageError()
  }
  if (!options.enableOutputEncryption) return undefined
  const bound = copy(options.responsePublicKeyHeader)
  if (bound === undefined && !options.v1AllowUnboundResponseKey) throw new MessageError()
  return parseResponseKey(bound ?? headers[options.responsePublicKeyHeader])
}
