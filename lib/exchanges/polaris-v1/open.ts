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
import type { MessageMemory } from '../../replay/message-memory.ts'
import { ReplayStoreError } from '../../replay/store.ts'
import { Problem } from '../../http/problems.ts'
import { decodeBase64 } from '../../protocols/base64.ts'
import { MessageError, splitMessage } from '../../protocols/polaris-v1.ts'
import { hasBody } from '../../http/incoming.ts'
import type { IncomingRequest, OuterHead } from '../../http/incoming.ts'
import { originForm } from '../../http/target.ts'
import { openBody } from './body.ts'
import { createSecretsOpener } from './secrets.ts'
import type { SecretsOpener, UnwrapSecrets } from './secrets.ts'
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
  /** Remembers messages; without it, recorded ones open again. */
  readonly messages: MessageMemory | undefined
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
 * @throws {Problem} cannot-open, whatever the reason; body-too-large, response-key-required, overloaded, replay-store
 * @throws {KeysBusyError}
 */
export async function openPolarisV1 (
  request: IncomingRequest, keys: KeyProvider, budget: ByteBudget, options: PolarisV1Options
): Promise<Exchange> {
  if (options.enableOutputEncryption && request.headers[options.responsePublicKeyHeader] === undefined) {
    throw new Problem('response-key-required')
  }
  const secrets = createSecretsOpener(keys)
  const { unwrap } = secrets
  try {
    const [target, inner] = await options.admit(() => Promise.all([
      openHeader(request, options.urlHeader, unwrap).then(readTarget),
      openHeader(request, options.secureHeader, unwrap).then(readHeaders)
    ]))
    const responseKey = boundResponseKey(request, inner, options)
    const headers = [...openedHeaders(inner, options.own), ...request.forwarding()]
    const opened = hasBody(request) ? await openBody(request, unwrap, budget, options.maxBodyBytes) : undefined
    try {
      await refuseRepeated(secrets, options.messages)
    } catch (error) {
      opened?.release()
      throw error
    }
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

/**
 * Called when all messages of a request are known to be authentic: a request refused for another reason may come again.
 */
async function refuseRepeated ({ opened }: SecretsOpener, messages: MessageMemory | undefined): Promise<void> {
  const { keyId, digests } = opened()
  if (keyId !== undefined && await messages?.admit(keyId, digests) === false) throw new MessageError()
}

/** One answer for all that cannot be opened; what is the proxy's or the client's connection's fault stays as it is. */
function refusal (error: unknown): unknown {
  const unopenable = error instanceof MessageError || error instanceof UnwrapError ||
    (error instanceof Problem && error.code === 'bad-request')
  if (unopenable) return new Problem('cannot-open', { cause: error })
  return error instanceof ReplayStoreError ? new Problem('replay-store', { cause: error }) : error
}

/** The plaintext of a header message, or undefined where the header is absent. Small: bounded by the header limit. */
async function openHeader (
  { headers }: IncomingRequest, name: string, unwrap: UnwrapSecrets
): Promise<string | undefined> {
  const text = headers[name]
  if (text === undefined) return undefined
  const message = typeof text === 'string' ? decodeBase64(text) : undefined
  if (message === undefined) throw new MessageError()
  const { header, ciphertext } = splitMessage(message)
  const { secrets, authTag } = await unwrap(header)
  try {
    const decipher = createDecipheriv(
      'aes-256-gcm', createSecretKey(secrets.key), secrets.iv, { authTagLength: authTag.length }
    ).setAuthTag(authTag)
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

/**
 * The decrypted header object as pairs. Values are text, or numbers and booleans, which older clients did not quote.
 */
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
function boundResponseKey (
  { headers }: IncomingRequest, inner: readonly [string, string][], options: PolarisV1Options
): KeyObject | undefined {
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
