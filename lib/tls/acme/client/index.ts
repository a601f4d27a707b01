/** Orders certificates (RFC 8555, section 7): account, order, proof for each name, request, certificate. */
import { createPrivateKey } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { FlattenedSign } from 'jose'
import { RemoteError } from '../../../remote/error.ts'
import { challengeFor } from '../challenges.ts'
import { issuedCertificate } from './chain.ts'
import type { Issued } from './chain.ts'
import { refusalOf, secondsOf } from './failures.ts'
import { identifiersOf } from './identifiers.ts'
import type { Identifier } from './identifiers.ts'
import { malformed, parseAuthorization, parseOrder, urlOf } from './messages.ts'
import type { Authorization, Directory, Order } from './messages.ts'
import { certificateRequest } from './request.ts'
import { createSession } from './session.ts'
import type { Session, SessionOptions } from './session.ts'
import type { Challenge } from '../state.ts'

export interface AcmeClientOptions extends SessionOptions {
  readonly names: readonly string[]
  readonly challenge: Challenge['type']
  readonly termsAgreed: boolean
  readonly email: string | undefined
  readonly profile: string | undefined
  /** Binds the account to one that the authority has already (section 7.3.4). */
  readonly binding: { readonly keyId: string, readonly key: Uint8Array } | undefined
}

export interface AcmeClient {
  /**
   * One attempt.
   *
   * @param key private, PEM, on P-256
   * @param publish resolves once the authority may come for what it was given
   * @throws {RemoteError}
   */
  obtain (
    key: string, publish: (challenges: readonly Challenge[]) => Promise<void>, signal: AbortSignal
  ): Promise<Issued>
}

/** A name that is not validated yet. */
interface Open {
  /** Of its authorization. */
  readonly url: URL
  /** Where the authority is told to look. */
  readonly respond: URL
  readonly name: string
  readonly challenge: Challenge
}

/** How long to wait for an authority to be done with something: at least, at most, and how often. */
const POLL_MS = 1000
const MAX_POLL_MS = 30_000
const MAX_POLLS = 60

export function createAcmeClient (options: AcmeClientOptions): AcmeClient {
  const { names, challenge: type, termsAgreed, email, profile, binding } = options
  const identifiers = identifiersOf(names)
  let session: Session | undefined
  let account: string | undefined

  async function register (session: Session, { newAccount, hasTerms, needsBinding }: Directory, signal: AbortSignal) {
    if (hasTerms && !termsAgreed) {
      throw new RemoteError('configuration', 'The certificate authority has terms of service', {
        providerCode: 'TERMS', advice: 'Read them, and set POLARIS_CONTAINER_TLS_ACME_TERMS_AGREED=true'
      })
    }
    if (needsBinding && binding === undefined) {
      throw new RemoteError('configuration', 'The certificate authority asks for an external account', {
        providerCode: 'EXTERNAL_ACCOUNT',
        advice: 'Set POLARIS_CONTAINER_TLS_ACME_EAB_KEY_ID and POLARIS_CONTAINER_TLS_ACME_EAB_KEY_FILE'
      })
    }
    const { headers } = await session.post(newAccount, {
      ...hasTerms && { termsOfServiceAgreed: true },
      ...email !== undefined && { contact: [`mailto:${email}`] },
      ...binding && {
        externalAccountBinding: await new FlattenedSign(new TextEncoder().encode(JSON.stringify(session.jwk)))
          .setProtectedHeader({ alg: 'HS256', kid: binding.keyId, url: newAccount.href }).sign(binding.key)
      }
    }, undefined, signal)
    return urlOf(headers.location, session.origin).href
  }

  /** Asks until `done` makes something of the answer. */
  async function poll<T> (
    session: Session, url: URL, done: (body: Uint8Array) => T | undefined, signal: AbortSignal
  ): Promise<T> {
    for (let count = 0; count < MAX_POLLS; count++) {
      const { body, headers } = await session.post(url, undefined, account, signal)
      const result = done(body)
      if (result !== undefined) return result
      const wait = (secondsOf(headers) ?? 0) * 1000
      await sleep(Math.min(Math.max(wait, POLL_MS), MAX_POLL_MS), undefined, { signal, ref: false })
    }
    throw new RemoteError('transient', 'The certificate authority did not finish in time', {
      providerCode: 'TIMEOUT', advice: 'Wait: the authority has a problem of its own'
    })
  }

  /** Those of the names that are not validated yet, each with what the authority is to be shown. */
  async function prepare (session: Session, { authorizations }: Order, signal: AbortSignal) {
    const open: Open[] = []
    for (const url of authorizations) {
      const { body } = await session.post(url, undefined, account, signal)
      const { status, identifier, challenges } = parseAuthorization(body, session.origin)
      if (status === 'valid') continue
      if (!isOrdered(identifier, identifiers)) throw malformed()
      const offered = challenges.find(challenge => challenge.type === type)
      if (offered === undefined) {
        throw new RemoteError('configuration', `The certificate authority does not offer ${type}`, {
          providerCode: 'CHALLENGE', advice: 'Set POLARIS_CONTAINER_TLS_ACME_CHALLENGE to the other'
        })
      }
      const challenge = challengeFor(type, identifier, offered.token, session.thumbprint)
      open.push({ url, respond: offered.url, name: identifier.value, challenge })
    }
    return open
  }

  function validated (name: string, { status, challenges }: Authorization): true | undefined {
    if (status === 'valid') return true
    if (status === 'pending') return undefined
    const problem = challenges.find(challenge => challenge.type === type)?.problem
    throw refusalOf(`The certificate authority could not validate ${name}`, problem)
  }

  function reached (wanted: 'ready' | 'valid', order: Order): Order | undefined {
    if (order.status === 'invalid') throw refusalOf('The certificate authority refused the order', order.problem)
    if (order.status === wanted || order.status === 'valid') return order
    return undefined
  }

  return {
    async obtain (key, publish, signal) {
      session ??= await createSession(options)
      const known = session
      const { origin } = known
      const directory = await known.directory(signal)
      try {
        account ??= await register(known, directory, signal)
        const created = await known.post(
          directory.newOrder, { identifiers, ...profile !== undefined && { profile } }, account, signal
        )
        const url = urlOf(created.headers.location, origin)
        const order = parseOrder(created.body, origin)
        const open = await prepare(known, order, signal)
        if (open.length > 0) {
          await publish(open.map(({ challenge }) => challenge))
          for (const { respond } of open) await known.post(respond, {}, account, signal)
          for (const { url, name } of open) {
            await poll(known, url, body => validated(name, parseAuthorization(body, origin)), signal)
          }
        }
        const ready = await poll(known, url, body => reached('ready', parseOrder(body, origin)), signal)
        if (ready.status === 'ready') {
          const csr = certificateRequest(createPrivateKey(key), identifiers).toString('base64url')
          await known.post(ready.finalize, { csr }, account, signal)
        }
        const { certificate } = await poll(known, url, body => reached('valid', parseOrder(body, origin)), signal)
        if (certificate === undefined) throw malformed()
        const { body } = await known.post(certificate, undefined, account, signal)
        return issuedCertificate(body, key, identifiers)
      } catch (error) {
        // With the next attempt, the directory is read again, and an account made that the authority knows.
        if (error instanceof RemoteError && FORGOTTEN.includes(error.providerCode)) session = account = undefined
        throw error
      }
    }
  }
}

/** How an authority says that it does not know the account, or that the directory is not what it was. */
const FORGOTTEN = ['accountDoesNotExist', 'MALFORMED', 'unknown']

function isOrdered ({ type, value }: Identifier, identifiers: readonly Identifier[]): boolean {
  return identifiers.some(identifier => identifier.type === type && identifier.value === value)
}
