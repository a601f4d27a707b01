// The attestation service on a clock that the test moves: obtaining, renewing, sharing, refusing.
import { mock } from 'node:test'
import t from 'tap'
import { RemoteError } from '../../../lib/remote/error.ts'
import type { Attester, Evidence, EvidenceRequest } from '../../../lib/attestation/attester.ts'
import { createAttestationService } from '../../../lib/attestation/service.ts'
import type { AttestationService, AttestationServiceOptions } from '../../../lib/attestation/service.ts'
import type { AttestedKey } from '../../../lib/protocols/attestation.ts'
import { parseAttestationDocument } from '../../../lib/protocols/attestation.ts'
import { createLog } from '../../fixtures/log.ts'

const MINUTE = 60_000
mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.parse('2026-06-01T00:00:00Z') })

/** Lets everything happen that waits for no timer: an attempt hashes a dozen times at most, one after the other. */
async function settled () {
  for (let i = 0; i < 24; i++) {
    await crypto.subtle.digest('SHA-256', new Uint8Array(64))
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** However long the machine takes. */
async function until (condition: () => boolean) {
  while (!condition()) await new Promise(resolve => setImmediate(resolve))
}

/** The first attempt is over. */
async function started (service: AttestationService) {
  await until(() => service.status().state !== 'waiting' || service.status().failures > 0)
}

async function pass (milliseconds: number) {
  const step = Math.max(1000, milliseconds / 300)
  for (let left = milliseconds; left > 0; left -= step) {
    mock.timers.tick(Math.min(left, step))
    await settled()
  }
}

interface Scene extends Partial<AttestationServiceOptions> {
  lifetime?: number
}

function scene (t: { teardown (close: () => void): void }, { lifetime, ...options }: Scene = {}) {
  const requests: EvidenceRequest[] = []
  const platform: { fail: RemoteError | undefined, held: Promise<void> | undefined } = {
    fail: undefined, held: undefined
  }
  const keys: AttestedKey[] = [{ kind: 'polaris-v1-spki', value: Uint8Array.of(1) }]
  const log = createLog()
  const attester: Attester = {
    type: 'simulated',
    async evidence (request): Promise<Evidence> {
      requests.push(request)
      await platform.held
      if (platform.fail) throw platform.fail
      return {
        tee: 'simulated',
        evidence: [['text/plain', 'x']],
        endorsements: [],
        ...lifetime !== undefined && { expiresAt: new Date(Date.now() + lifetime) }
      }
    }
  }
  const service = createAttestationService({
    attester, keys: () => keys, required: true, grace: 5 * MINUTE, renewal: 10 * MINUTE, cache: MINUTE, log, ...options
  })
  t.teardown(() => service.close())
  return { service, platform, requests, keys, log }
}

const away = new RemoteError('transient', 'The launcher is away', { providerCode: 'AWAY', advice: 'Wait' })
const nonce = new Uint8Array(32).fill(5)

t.test('evidence is obtained at start, and the gate opens', async t => {
  const { service, log } = scene(t)
  t.match(service.status(), { state: 'waiting', open: false })
  await started(service)
  t.match(service.status(), { state: 'fresh', open: true })
  t.ok(log.lines.some(({ message }) => message === 'attestation gate opened'))
})

t.test('requests without a nonce share one document, marked as cached, for as long as the cache says', async t => {
  const { service, requests } = scene(t)
  const [one, other] = await Promise.all([service.document(), service.document()])
  t.equal(one, other)
  t.equal(one.cached, true)
  t.equal(parseAttestationDocument(JSON.stringify(one)).nonce.length, 32)
  t.equal(requests.length, 1)
  await pass(MINUTE)
  const later = await service.document()
  t.not(later.nonce, one.nonce)
  t.equal(requests.length, 2)
})

t.test('a nonce is answered by evidence of its own', async t => {
  const { service, requests } = scene(t)
  await started(service)
  const document = await service.document(nonce)
  t.equal(document.cached, false)
  t.same(parseAttestationDocument(JSON.stringify(document)).nonce, nonce)
  t.equal(requests.length, 2)
  t.same(requests[1]?.binding, parseAttestationDocument(JSON.stringify(document)).binding.sha256)
})

t.test('a change of keys makes the cached document old', async t => {
  const { service, keys } = scene(t)
  const before = await service.document()
  keys.push({ kind: 'ohttp-keys', value: Uint8Array.of(2) })
  const after = await service.document()
  t.equal(before.keys.length, 1)
  t.equal(after.keys.length, 2)
})

t.test('evidence is renewed before it expires', async t => {
  const { service, requests } = scene(t, { lifetime: 4 * MINUTE })
  await pass(30 * MINUTE)
  t.match(service.status(), { state: 'fresh', open: true, failures: 0 })
  t.ok(service.status().renewals >= 14)
  t.equal(requests.length, service.status().renewals + 1)
})

t.test('where renewal fails, the gate stays open through the grace, then closes, and opens by itself', async t => {
  let closings = 0
  const { service, platform, log } = scene(t)
  service.onClose(() => closings++)
  await started(service)
  platform.fail = away
  await pass(19 * MINUTE)
  t.match(service.status(), { state: 'fresh', open: true })
  t.ok(service.status().failures > 1)
  await pass(2 * MINUTE)
  t.match(service.status(), { state: 'grace', open: true, reason: 'The launcher is away' })
  t.equal(closings, 0)
  await pass(5 * MINUTE)
  t.match(service.status(), { state: 'failed', open: false, reason: 'The launcher is away' })
  t.equal(closings, 1)
  await t.rejects(service.document(), { code: 'ERR_ATTESTATION_UNAVAILABLE' })
  platform.fail = undefined
  await pass(MINUTE)
  t.match(service.status(), { state: 'fresh', open: true, failures: 0 })
  const messages = log.lines.map(({ message }) => message)
  t.ok(messages.indexOf('attestation gate closed') < messages.lastIndexOf('attestation gate opened'))
})

t.test('failures are retried with growing pauses, at most a minute', async t => {
  const { service, platform, requests } = scene(t)
  platform.fail = away
  await pass(10 * MINUTE)
  t.ok(requests.length >= 10 && requests.length <= 30, `${requests.length} attempts`)
  const error = await service.document(nonce).catch(error => error)
  t.match(error, { code: 'ERR_ATTESTATION_UNAVAILABLE', retryAfter: 60 })
})

t.test('a platform that asks to be left alone is', async t => {
  const { service, platform, requests } = scene(t)
  platform.fail = new RemoteError('transient', 'throttled', { providerCode: 'AWAY', advice: 'Wait', retryAfter: 200 })
  await started(service)
  await pass(150_000)
  t.equal(requests.length, 1)
  platform.fail = undefined
  await pass(60_000)
  t.match(service.status(), { state: 'fresh' })
})

t.test('without keys there is nothing to attest to, until there are', async t => {
  const keys: AttestedKey[] = []
  const { service, requests } = scene(t, { keys: () => keys })
  await started(service)
  t.match(service.status(), { state: 'waiting', open: false, reason: /no keys yet/ })
  t.equal(requests.length, 0)
  keys.push({ kind: 'tls-spki', value: Uint8Array.of(1) })
  await pass(2000)
  t.match(service.status(), { state: 'fresh', open: true })
})

t.test('no more requests than the platform is to bear are made at once', async t => {
  const { service, platform, requests } = scene(t, { concurrency: 2 })
  await started(service)
  let release = () => {}
  platform.held = new Promise(resolve => { release = resolve })
  const answers = Promise.allSettled(Array.from({ length: 5 }, () => service.document(nonce)))
  await until(() => requests.length === 3)
  await settled()
  t.equal(requests.length, 3)
  release()
  t.same((await answers).map(({ status }) => status), ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected'])
  await t.resolves(service.document(nonce))
})

t.test('clients that keep the platform busy do not keep the proxy from renewing', async t => {
  const { service, platform, requests } = scene(t, { concurrency: 2 })
  await started(service)
  let release = () => {}
  platform.held = new Promise(resolve => { release = resolve })
  const answers = [service.document(nonce), service.document(nonce)]
  await until(() => requests.length === 3)
  platform.held = undefined
  await service.refresh()
  t.match(service.status(), { state: 'fresh', renewals: 1, failures: 0 })
  release()
  await Promise.all(answers)
})

t.test('own evidence outside the operator\'s policy closes the gate at once', async t => {
  const refusals: string[] = ['image', 'debug']
  const { service } = scene(t, { appraise: async () => refusals })
  await started(service)
  t.match(service.status(), { state: 'failed', open: false, reason: /policy refuses its evidence: image, debug/ })
  await t.rejects(service.document(), { code: 'ERR_ATTESTATION_UNAVAILABLE' })
  refusals.length = 0
  await pass(10_000)
  t.match(service.status(), { state: 'fresh', open: true })
})

t.test('own evidence that cannot be appraised now is none that was refused: what was there before counts for its ' +
  'time', async t => {
  let answer: () => Promise<string[]> = async () => []
  const { service } = scene(t, { appraise: () => answer() })
  await started(service)
  answer = async () => {
    throw new RemoteError(
      'transient', 'The issuer is away', { providerCode: 'AWAY', advice: 'Wait' }
    )
  }
  await service.refresh()
  t.match(service.status(), { state: 'fresh', open: true, failures: 1 })
  await pass(21 * MINUTE)
  t.match(service.status(), { state: 'grace', open: true, reason: 'The issuer is away' })
  await pass(5 * MINUTE)
  t.match(service.status(), { state: 'failed', open: false })
  answer = async () => []
  await pass(MINUTE)
  t.match(service.status(), { state: 'fresh', open: true })
})

t.test('a closed service asks no more, and the attempt under way is told', async t => {
  const { service, requests } = scene(t)
  await started(service)
  service.close()
  await pass(60 * MINUTE)
  t.equal(requests.length, 1)
  t.equal(requests[0]?.signal?.aborted, true)
  await t.rejects(service.document(nonce), { code: 'ERR_ATTESTATION_UNAVAILABLE' })
})
