/**
 * Opens OHTTP requests of both forms into exchanges, once they are known to be authentic, new and meant for this proxy.
 */
import { METHODS } from 'node:http'
import { Readable } from 'node:stream'
import type { IncomingRequest } from '../../http/incoming.ts'
import { openedHeaders } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import type { HpkeRing } from '../../keys/hpke/ring.ts'
import type { RequestHead } from '../../protocols/bhttp/bhttp.ts'
import { OhttpError } from '../../protocols/ohttp/ohttp.ts'
import { ReplayStoreError, replayDigest } from '../../replay/store.ts'
import type { ReplayStore } from '../../replay/store.ts'
import type { ByteBudget } from '../../streams/budget.ts'
import type { Exchange } from '../exchange.ts'
import { openBuffered } from './buffered.ts'
import { openChunked } from './chunked.ts'
import { createFreshness } from './freshness.ts'
import type { FreshnessOptions } from './freshness.ts'
import type { InnerRequest } from './inner-request.ts'
import type { OpenedMessage } from './opened-message.ts'

/** RFC 9458, or its chunked extension. */
export type OhttpForm = 'ohttp' | 'ohttp-chunked'

export interface OhttpOptions extends FreshnessOptions {
  /** Lower-case names of the proxy's own headers. */
  readonly own: ReadonlySet<string>
  /** Empty: all are. */
  readonly allowedAuthorities: ReadonlySet<string>
  /** Largest message that is not chunked, each way. */
  readonly ohttpMaxBodyBytes: number
  /** Sealed responses are padded to multiples of this; 0 for not at all. */
  readonly padding: number
}

export interface OhttpGateway {
  /**
   * @throws {Problem} ohttp-key, date, date-missing, cannot-open, body-too-large, overloaded: what is found before the
   * request is known to be authentic and fresh. All else is answered inside.
   */
  open (request: IncomingRequest, form: OhttpForm): Promise<Exchange>
}

export function createOhttpGateway (
  ring: HpkeRing, replays: ReplayStore, budget: ByteBudget, options: OhttpOptions
): OhttpGateway {
  const { own, allowedAuthorities, ohttpMaxBodyBytes, padding } = options
  const decapsulate: HpkeRing['decapsulate'] = (header, enc) => ring.decapsulate(header, enc)
  const freshness = createFreshness(ring, options)

  async function open (request: IncomingRequest, form: OhttpForm): Promise<Exchange> {
    try {
      const opened = form === 'ohttp'
        ? await openBuffered(request, decapsulate, budget, { maxBytes: ohttpMaxBodyBytes, padTo: padding })
        : await openChunked(request, decapsulate, padding)
      try {
        await admit(opened)
        return toExchange(form, request, opened)
      } catch (error) {
        opened.release?.()
        stop(opened.inner)
        throw error
      }
    } catch (error) {
      throw refusal(error)
    }
  }

  /**
   * What is no HTTP request will not be forwarded, so that it need not be remembered: it has no date to be judged by.
   */
  async function admit ({ header, enc, inner }: OpenedMessage): Promise<void> {
    if (inner === undefined) return
    const date = freshness.check(inner.head, header)
    if (!await replays.admit(replayDigest(header.keyId, enc), date)) throw new Problem('cannot-open')
  }

  /**
   * Everything from here on is answered inside: a request that is refused becomes an exchange with only the way back.
   */
  function toExchange (form: OhttpForm, request: IncomingRequest, { inner, seal, release }: OpenedMessage): Exchange {
    const exchange = {
      protocol: form,
      seal,
      showsPieces: form === 'ohttp-chunked',
      ...(release !== undefined && { release })
    }
    const refusal = refuse(inner)
    if (inner === undefined || refusal !== undefined) {
      stop(inner)
      return {
        ...exchange,
        method: inner?.head.method ?? 'GET',
        target: '/',
        headers: [],
        body: undefined,
        bodyLength: undefined,
        refusal: refusal ?? new Problem('bad-request')
      }
    }
    const { head, body, bodyLength } = inner
    return {
      ...exchange,
      method: head.method,
      target: head.path,
      headers: [...openedHeaders(head.headers, own), ...request.forwarding()],
      body,
      bodyLength
    }
  }

  function refuse (inner: InnerRequest | undefined): Problem | undefined {
    if (inner === undefined) return new Problem('bad-request')
    const { head } = inner
    if (!head.path.startsWith('/') || !METHODS.includes(head.method) || head.method === 'CONNECT') {
      return new Problem('bad-request')
    }
    if (allowedAuthorities.size > 0 && !allowedAuthorities.has(authorityOf(head))) return new Problem('misdirected')
    return undefined
  }

  return { open }
}

/** It will not be read. */
function stop (inner: InnerRequest | undefined): void {
  if (inner?.body instanceof Readable) inner.body.destroy()
}

/** The first authority that a request names, in lower case. */
function authorityOf ({ authority, headers }: RequestHead): string {
  return (authority || (headers.find(([name]) => name === 'host')?.[1] ?? '')).toLowerCase()
}

/** What is wrong before the request is known to be authentic has one answer, except for what the client can fix. */
function refusal (error: unknown): unknown {
  if (error instanceof OhttpError) {
    return new Problem(error.code === 'ERR_OHTTP_KEY' ? 'ohttp-key' : 'cannot-open', { cause: error })
  }
  if (error instanceof ReplayStoreError) return new Problem('replay-store', { cause: error })
  return error
}
