/** Signed requests to an authority (RFC 8555, section 6): one after the other, each with a nonce of its own. */
import { generateKeyPairSync } from 'node:crypto'
import { FlattenedSign, calculateJwkThumbprint, exportJWK } from 'jose'
import type { JWK } from 'jose'
import { exchange } from '../../../remote/post-json.ts'
import type { JsonAnswer } from '../../../remote/post-json.ts'
import { failureOf } from './failures.ts'
import { malformed, parseDirectory } from './messages.ts'
import type { Directory } from './messages.ts'

export interface SessionOptions {
  /** URL of the directory. */
  readonly directory: string
  /** As of `JsonEndpoint`. */
  readonly ca: string | undefined
}

/** Requests fail with {RemoteError}. */
export interface Session {
  /** Of the authority: all URLs are of it. */
  readonly origin: string
  readonly jwk: JWK
  /** SHA-256 of the account's public key, base64url (RFC 7638). */
  readonly thumbprint: string
  directory (signal: AbortSignal): Promise<Directory>
  /**
   * @param payload nothing, to read the resource (POST-as-GET)
   * @param account URL of the account; without it, the public key is sent
   */
  post (url: URL, payload: object | undefined, account: string | undefined, signal: AbortSignal): Promise<JsonAnswer>
}

const TIMEOUT_MS = 30_000
/** Longer than directories, orders and chains of certificates are. */
const MAX_BYTES = 128 * 1024
const NONCE = /^[\w-]{1,512}$/
/** Authorities forget nonces: they send another with the refusal. */
const MAX_NONCES = 10

/** With an account key of its own, which ends with it. */
export async function createSession ({ directory: start, ca }: SessionOptions): Promise<Session> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = await exportJWK(publicKey)
  const { origin } = new URL(start)
  let known: Directory | undefined
  let nonce: string | undefined

  async function send (method: string, url: URL, payload: string, signal: AbortSignal): Promise<JsonAnswer> {
    const endpoint = {
      name: 'The certificate authority', url, reach: 'public', timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES, ca
    } as const
    const headers = {
      'user-agent': 'polaris-secure-proxy',
      ...payload !== '' && {
        'content-type': 'application/jose+json', 'content-length': Buffer.byteLength(payload)
      }
    }
    const answer = await exchange(endpoint, { method, headers }, payload, signal)
    const fresh = answer.headers['replay-nonce']
    nonce = typeof fresh === 'string' && NONCE.test(fresh) ? fresh : undefined
    return answer
  }

  async function directory (signal: AbortSignal): Promise<Directory> {
    if (known !== undefined) return known
    const answer = await send('GET', new URL(start), '', signal)
    if (answer.status !== 200) throw failureOf(answer)
    known = parseDirectory(answer.body, origin)
    return known
  }

  async function freshNonce (signal: AbortSignal): Promise<string> {
    if (nonce === undefined) {
      const answer = await send('HEAD', (await directory(signal)).newNonce, '', signal)
      if (!isSuccess(answer)) throw failureOf(answer)
    }
    const taken = nonce
    nonce = undefined
    if (taken === undefined) throw malformed()
    return taken
  }

  return {
    origin,
    jwk,
    thumbprint: await calculateJwkThumbprint(jwk),
    directory,
    async post (url, payload, account, signal) {
      const content = new TextEncoder().encode(payload === undefined ? '' : JSON.stringify(payload))
      for (let count = 1; ; count++) {
        const signed = await new FlattenedSign(content).setProtectedHeader({
          alg: 'ES256',
          nonce: await freshNonce(signal),
          url: url.href,
          ...account === undefined ? { jwk } : { kid: account }
        }).sign(privateKey)
        const answer = await send('POST', url, JSON.stringify(signed), signal)
        if (isSuccess(answer)) return answer
        const failure = failureOf(answer)
        if (failure.providerCode !== 'badNonce' || count === MAX_NONCES) throw failure
      }
    }
  }
}

function isSuccess ({ status }: JsonAnswer): boolean {
  return status >= 200 && status < 300
}
