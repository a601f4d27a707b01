/**
 * The SDK's types say what its users may rely on. The compiler checks this file (`npm run check`); running it checks
 * the rest.
 */
import t from 'tap'
import { createPolarisFetch } from '../../sdk/index.ts'
import type {
  AttestationOptions, AttestationPolicy, ClockError, GatewayRefusalError, KeySource, PolarisFetchError,
  PolarisFetchErrorCode, PolarisFetchOptions, PublishedKeys, RedirectError,
  FetchAttestation, PolarisFetch
} from '../../sdk/index.ts'
import type { Check, Verdict, attestKeys } from '../../sdk/attestation/index.ts'

/** True only for the same type: assignable both ways, readonly and optional included. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
type Extends<A, B> = A extends B ? true : false

/** Each is an error of the compiler if it does not hold. */
const holds: [
  Equal<ReturnType<typeof createPolarisFetch>, PolarisFetch>,
  Extends<PolarisFetch, typeof globalThis.fetch>,
  Equal<PolarisFetch['attestation'], FetchAttestation | undefined>,
  Equal<Parameters<typeof createPolarisFetch>, [options: PolarisFetchOptions]>,
  Equal<PolarisFetchOptions['baseURL'], string | URL>,
  Equal<PolarisFetchOptions['attestation'], AttestationPolicy | AttestationOptions | undefined>,
  Equal<PolarisFetchOptions['clock'], 'local' | 'gateway' | undefined>,
  Equal<PolarisFetchOptions['protocol'], 'ohttp' | 'polaris-v1' | undefined>,
  Equal<PolarisFetchError['code'], PolarisFetchErrorCode>,
  Equal<ClockError['gatewayTime'], Date | undefined>,
  Equal<GatewayRefusalError['status'], number>,
  Equal<RedirectError['location'], string | undefined>,
  Equal<Awaited<ReturnType<KeySource>>, PublishedKeys>,
  Equal<Awaited<ReturnType<typeof attestKeys>>['verdict'], Verdict>,
  Equal<Check['outcome'], 'passed' | 'failed' | 'skipped'>,
  Extends<ClockError, GatewayRefusalError>, Extends<GatewayRefusalError, PolarisFetchError>,
  Extends<RedirectError, PolarisFetchError>, Extends<PolarisFetchError, TypeError>,
  Extends<{ baseURL: string }, PolarisFetchOptions>
] = [
  true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true
]

/** What must not compile. */
const refuses: [
  Extends<{ baseUrl: string }, PolarisFetchOptions>,
  Extends<{ baseURL: string, attestation: null }, PolarisFetchOptions>,
  Extends<{ baseURL: string, clock: 'yours' }, PolarisFetchOptions>,
  Extends<{ version: 2, platforms: object }, AttestationPolicy>,
  Extends<'ERR_POLARIS_NO_SUCH_CODE', PolarisFetchErrorCode>
] = [false, false, false, false, false]

t.test('the types hold', async t => {
  t.ok(holds.every(Boolean))
  t.notOk(refuses.some(Boolean))
})

t.test('it is used where a fetch is expected', async t => {
  const takesFetch = (fetch: typeof globalThis.fetch) => typeof fetch
  t.equal(takesFetch(createPolarisFetch({ baseURL: 'https://proxy.example' })), 'function')
})
