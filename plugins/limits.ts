/**
 * polaris.limits: how much one client may take, counted before anything is opened. Over the limit it gets 429, and each
 * answer says how much is left (RateLimit fields of draft-ietf-httpapi-ratelimit-headers).
 */
import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { clientBehind } from '../lib/http/caller.ts'
import { Problem } from '../lib/http/problems.ts'
import { trustedProxies } from '../lib/http/trusted-proxies.ts'
import { createWireCounter } from '../lib/http/wire-bytes.ts'
import { createMemoryLimiter, layered, limits as hasLimits } from '../lib/limits/limiter.ts'
import type { ClientLimiter, ClientLimits, Verdict } from '../lib/limits/limiter.ts'
import { limitsFrom } from '../lib/limits/from-config.ts'
import { createGroupCounts } from '../lib/limits/minute-counts.ts'
import type { GroupCounts } from '../lib/limits/minute-counts.ts'
import { identityOf, namedLimiter } from '../lib/limits/names.ts'
import { createSharedLimiter } from '../lib/limits/shared.ts'
import { provide } from '../lib/polaris.ts'

declare module '../lib/polaris.ts' {
  interface Polaris {
    /** Undefined if clients are not limited. */
    readonly limits: Limits | undefined
    /** What is counted by client for other limits. */
    readonly counts: GroupCounts
  }
}

export interface Limits {
  /**
   * Counts a request that is about to be opened.
   *
   * @throws {Problem} too-many-requests
   */
  admit (request: FastifyRequest, reply: FastifyReply): void | Promise<void>
}

export interface LimitsPluginOptions {
  /** Counts for several processes, in place of this one alone, by names made with this key. */
  readonly limiter?: { readonly limiter: ClientLimiter, readonly key: Uint8Array }
  /** The same for what else is counted by client. */
  readonly counts?: GroupCounts
}

export default fp<LimitsPluginOptions>(async function limits (app, options) {
  const { config, sharedStore } = app.polaris
  const limited = limitsFrom(config)
  provide(app.polaris, 'counts', options.counts ?? createGroupCounts())
  provide(app.polaris, 'limits', hasLimits(limited) ? createLimits() : undefined)

  function createLimits (): Limits {
    const given = options.limiter ?? { limiter: createMemoryLimiter(limited), key: randomBytes(32) }
    const local = namedLimiter(given.limiter, given.key)
    const limiter = sharedStore === undefined
      ? local
      : layered(local, createSharedLimiter(sharedStore, limited), works => {
        if (works) app.log.info('client limits are shared again')
        else app.log.warn('client limits count in this instance alone: the shared store does not answer')
      })
    const isTrusted = trustedProxies(config.trustProxy)
    const keyHeader = config.clientKeyHeader?.toLowerCase()
    const policy = policyOf(limited)
    const countBytes = createWireCounter()

    function decide (verdict: Verdict, client: string, reply: FastifyReply): void {
      const { raw: response, request: { raw: { socket } } } = reply
      if (policy !== undefined) {
        reply.header('ratelimit-policy', policy).header(
          'ratelimit', `"requests";r=${verdict.remaining};t=${verdict.reset}`
        )
      }
      if (!verdict.allowed) {
        // No part of what the next request moves, which may be another client's.
        countBytes(socket)
        throw new Problem('too-many-requests', { retryAfter: verdict.retryAfter })
      }
      // From the end of the request before: a small one has been read as a whole by now.
      const end = () => {
        const { received, sent } = countBytes(socket)
        limiter.end(client, received + sent)
      }
      // It may have left while its count was asked for.
      if (response.destroyed) end()
      else response.once('close', end)
    }

    return {
      admit (request, reply) {
        const { raw } = request
        const client = identityOf(raw.headers, keyHeader, () => clientBehind(raw, isTrusted))
        const verdict = limiter.take(client)
        if (verdict instanceof Promise) return verdict.then(verdict => decide(verdict, client, reply))
        decide(verdict, client, reply)
      }
    }
  }
}, { name: 'polaris-limits', dependencies: ['polaris-config', 'polaris-replay'] })

function policyOf ({ requestRate, burst }: ClientLimits): string | undefined {
  return requestRate === 0 ? undefined : `"requests";q=${burst};w=${Math.ceil(burst / requestRate)}`
}
