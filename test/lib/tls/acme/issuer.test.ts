/** When certificates are ordered again: growing pauses after failures, what an authority asks for, and renewals. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import type { RemoteFailure } from '../../../../lib/remote/error.ts'
import { createAcmeIssuer } from '../../../../lib/tls/acme/issuer.ts'
import { httpAnswer, tlsAnswer } from '../../../../lib/tls/acme/challenges.ts'
import { createAcmeRing } from '../../../../lib/tls/acme/ring.ts'
import type { AcmeClient } from '../../../../lib/tls/acme/client/index.ts'

interface Failed {
  readonly code: string
  readonly retryIn: number
  readonly hasExpired: boolean
}

/** An issuer whose attempts end as `outcomes` says, the last again and again: with a life in ms, or an error. */
function setUp (t: Test, outcomes: readonly (number | Error)[], overlap = 100) {
  const failed: Failed[] = []
  const ordered: string[] = []
  let count = 0
  const client: AcmeClient = {
    async obtain (key, publish) {
      ordered.push(key)
      await publish([{ type: 'http-01', token: 't', answer: 'a' }])
      const outcome = outcomes[Math.min(count++, outcomes.length - 1)]
      if (typeof outcome !== 'number') throw outcome
      return { cert: `issued ${count}`, notBefore: Date.now(), notAfter: Date.now() + outcome }
    }
  }
  const { promise: issued, resolve } = Promise.withResolvers<void>()
  const issuer = createAcmeIssuer({
    client,
    names: ['a.example'],
    overlap,
    settle: 0,
    onIssued: () => resolve(),
    onFailure: ({ providerCode: code }, next) => { failed.push({ code, ...next }) },
    pauses: { transient: 20, refused: 200 }
  })
  // Its own timers keep no process alive.
  const alive = setInterval(() => undefined, 1000)
  t.teardown(() => { issuer.close(); clearInterval(alive) })
  return { issuer, failed, ordered, issued }
}

const failure = (kind: RemoteFailure, providerCode: string, retryAfter?: number) =>
  new RemoteError(kind, 'Failed', { providerCode, advice: 'Wait', retryAfter })

t.test('nothing is ordered before it begins, and once however often it does', async t => {
  const { issuer, ordered, issued } = setUp(t, [100_000])
  const [first] = issuer.state().keys
  t.notOk(first?.isIssued)
  t.match(first?.cert, 'BEGIN CERTIFICATE')
  await setTimeout(50)
  t.same(ordered, [])
  issuer.begin()
  issuer.begin()
  await issued
  t.same(ordered, [first?.key])
  t.match(issuer.state(), {
    keys: [{ pin: first?.pin, isIssued: true, cert: 'issued 1' }], challenges: [], failures: 0
  })
})

t.test('pauses grow with each failure, are longer after a refusal, and as long as the authority asks for',
  async t => {
    const { issuer, failed, ordered, issued } = setUp(t, [
      failure('transient', 'ECONNREFUSED'), failure('transient', 'ECONNREFUSED'), new TypeError('unexpected'),
      failure('transient', 'unknown', 1), failure('refused', 'connection'), 100_000
    ])
    const first = issuer.state().keys[0]?.key
    issuer.begin()
    await setTimeout(500)
    t.equal(issuer.state().failures, failed.length)
    t.same(issuer.state().challenges, [], 'nothing is shown while it waits')
    await issued
    t.same(failed.map(({ code }) => code), ['ECONNREFUSED', 'ECONNREFUSED', 'TypeError', 'unknown', 'connection'])
    const within = [[10, 20], [20, 40], [40, 80], [1000, 1000], [1600, 3200]]
    for (const [i, [least = 0, most = 0]] of within.entries()) {
      const retryIn = failed[i]?.retryIn ?? 0
      t.ok(retryIn >= least && retryIn <= most, `${least} <= ${retryIn} <= ${most}`)
    }
    t.same(new Set(ordered), new Set([first]), 'the key stays')
    t.equal(issuer.state().failures, 0)
  })

t.test('another key with each renewal; the old one stays if the authority fails, also when it has expired', async t => {
  const { issuer, failed, ordered, issued } = setUp(t, [600, failure('transient', 'DOWN')])
  const ring = createAcmeRing({ source: issuer, overlap: 100, onServe: () => undefined })
  t.equal(ring.problem(), 'waiting for evidence that covers the key')
  ring.start(() => true)
  ring.certificates?.reachable()
  await issued
  const [old] = issuer.state().keys
  while (!failed.some(({ hasExpired }) => hasExpired)) await setTimeout(20)
  const { keys } = issuer.state()
  t.equal(keys.length, 2)
  t.not(keys[1]?.pin, old?.pin)
  t.same(new Set(ordered), new Set(keys.map(({ key }) => key)))
  t.equal(ring.current()?.pin, old?.pin)
  t.equal(ring.attested().length, 2)
  t.same(ring.keys().map(({ state }) => state), ['active', 'pending'])
  t.ok((ring.certificates?.expiry() ?? Infinity) <= Date.now())
  t.ok((ring.certificates?.failures() ?? 0) > 0)
  ring.close()
})

t.test('challenges are answered by exactly what they are for', async t => {
  const challenges = [
    { type: 'tls-alpn-01', serverName: 'a.example', cert: 'c', key: 'k' }, { type: 'http-01', token: 'T', answer: 'x' }
  ] as const
  t.match(tlsAnswer(challenges, 'A.example'), { cert: 'c', key: 'k' })
  for (const name of ['', 'b.example', 'a.example.', 'T']) t.equal(tlsAnswer(challenges, name), undefined, name)
  t.equal(httpAnswer(challenges, 'T'), 'x')
  for (const token of ['', 't', 'T ', 'a.example', '__proto__']) {
    t.equal(httpAnswer(challenges, token), undefined, token)
  }
})
