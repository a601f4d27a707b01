/** Versions of a key: how they are fetched, refreshed and retired, and what the status says meanwhile. */
import t from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { createVersionedProvider } from '../../../../lib/keys/rsa/key-versions.ts'
import type { KeySource, KeyVersion } from '../../../../lib/keys/rsa/key-versions.ts'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'
import { createLog } from '../../../fixtures/log.ts'

const nothing = new Uint8Array(1)

/** A version that "unwraps" to one octet, and says when it is closed. */
function versionOf (keyId: string, closed: string[] = []): KeyVersion {
  return {
    published: { keyId, algorithm: 'RSA-OAEP-256', pem: `PEM of ${keyId}` },
    unwrap: async () => new Uint8Array([keyId.length]),
    close: () => closed.push(keyId)
  }
}

const failure = (kind: 'configuration' | 'transient') =>
  new RemoteError(kind, `a ${kind} reason`, { providerCode: 'CODE', advice: 'Do this' })

/** A provider whose loads are answered by the test, one after another. */
function setUp (options: Partial<KeySource> = {}) {
  const log = createLog()
  const answers: Array<PromiseWithResolvers<readonly KeyVersion[]>> = []
  const provider = createVersionedProvider({
    name: 'test',
    remote: true,
    retry: { firstDelay: 1, maxDelay: 1 },
    load: () => {
      const answer = Promise.withResolvers<readonly KeyVersion[]>()
      answers.push(answer)
      return answer.promise
    },
    ...options
  }, log)
  return { log, answers, provider }
}

/** Waits until the provider has asked for the n-th load. */
async function asked (answers: readonly unknown[], n: number): Promise<void> {
  while (answers.length < n) await new Promise(setImmediate)
}

const ids = (
  { publicKeys }: { publicKeys (): ReadonlyArray<{ keyId: string }> }
) => publicKeys().map(({ keyId }) => keyId)

t.test('keys are fetched at once; until then the status says so and unwraps are put off', async t => {
  const { answers, provider, log } = setUp()
  t.equal(answers.length, 1)
  t.same(provider.status(), { ready: false, reason: 'fetching the keys' })
  await t.rejects(provider.unwrap('a', nothing), KeysBusyError)

  answers[0]?.reject(failure('transient'))
  await asked(answers, 2)
  t.same(provider.status(), { ready: false, reason: 'a transient reason' })
  answers[1]?.resolve([versionOf('new'), versionOf('older')])
  await provider.ready
  t.same(provider.status(), { ready: true })
  t.same(ids(provider), ['new', 'older'])
  t.same(await provider.unwrap('older', nothing), new Uint8Array([5]))
  await t.rejects(provider.unwrap('other', nothing), UnwrapError)
  t.same(log.lines.map(({ level }) => level), ['warn', 'info'])
  t.match(
    log.lines[0],
    { message: 'a transient reason. Do this.', details: { source: 'test', providerCode: 'CODE', attempt: 1 } }
  )
})

t.test('all who need keys at the same time share one attempt', async t => {
  const { answers, provider } = setUp()
  const refreshes = [provider.refresh(), provider.refresh()]
  answers[0]?.resolve([versionOf('a')])
  await Promise.all([provider.ready, ...refreshes])
  t.equal(answers.length, 1)
  const again = [provider.refresh(), provider.refresh()]
  answers[1]?.resolve([versionOf('a')])
  await Promise.all(again)
  t.equal(answers.length, 2)
})

t.test('what cannot be mended ends the start, is logged as an error, and a later refresh may succeed', async t => {
  const { answers, provider, log } = setUp()
  answers[0]?.reject(failure('configuration'))
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration' })
  t.same(provider.status(), { ready: false, reason: 'a configuration reason' })
  t.equal(log.lines[0]?.level, 'error')

  const refresh = provider.refresh()
  answers[1]?.resolve([versionOf('a')])
  await refresh
  t.same(provider.status(), { ready: true })
})

t.test('a start that ran out of time begins anew until there are keys, and no more then', async t => {
  const { answers, provider } = setUp({ retry: { deadline: 0 }, startAgainAfter: 1 })
  answers[0]?.reject(failure('transient'))
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'transient' })
  await asked(answers, 2)
  answers[1]?.reject(failure('transient'))
  await asked(answers, 3)
  answers[2]?.resolve([versionOf('a')])
  while (!provider.status().ready) await new Promise(setImmediate)
  const refresh = provider.refresh()
  answers[3]?.reject(failure('transient'))
  await t.rejects(refresh, RemoteError)
  await new Promise(resolve => setTimeout(resolve, 30))
  t.equal(answers.length, 4, 'with keys in use, the next refresh is soon enough')
})

t.test('a start that can never succeed, or is closed, does not begin anew', async t => {
  const [wrong, closed] = [setUp({ startAgainAfter: 1 }), setUp({ startAgainAfter: 1, retry: { deadline: 0 } })]
  wrong.answers[0]?.reject(failure('configuration'))
  closed.answers[0]?.reject(failure('transient'))
  await Promise.allSettled([wrong.provider.ready, closed.provider.ready])
  await closed.provider.close()
  await new Promise(resolve => setTimeout(resolve, 30))
  t.same([wrong.answers.length, closed.answers.length], [1, 1])
})

t.test('no key at all is bad configuration, and never readiness', async t => {
  const { answers, provider } = setUp()
  answers[0]?.resolve([])
  await t.rejects(provider.ready, { code: 'ERR_REMOTE', kind: 'configuration', providerCode: 'NO_KEY' })
  t.same(provider.status(), { ready: false, reason: 'No key is configured' })
})

t.test('a refresh that fails leaves the keys in use, and says so', async t => {
  const { answers, provider, log } = setUp()
  answers[0]?.resolve([versionOf('a')])
  await provider.ready
  const refresh = provider.refresh()
  answers[1]?.reject(failure('configuration'))
  await t.rejects(refresh, RemoteError)
  t.same(provider.status(), { ready: true })
  t.same(await provider.unwrap('a', nothing), new Uint8Array([1]))
  t.match(log.lines.at(-1), { level: 'error', message: /Continuing with the keys/ })
})

t.test('a version that is no longer listed decrypts for a while, and is then closed', async t => {
  const closed: string[] = []
  const { answers, provider } = setUp({ retireAfter: 500 })
  const old = versionOf('old', closed)
  answers[0]?.resolve([old])
  await provider.ready
  for (const versions of [[versionOf('new', closed)], [old], [versionOf('newer', closed)]]) {
    const refresh = provider.refresh()
    answers.at(-1)?.resolve(versions)
    await refresh
    t.same(ids(provider), versions.map(({ published }) => published.keyId))
    t.ok(await provider.unwrap('old', nothing), 'listed or not')
  }
  // The timer is unref'd: keep the process until it fires.
  const wait = setInterval(() => undefined, 1000)
  while (closed.length < 2) await new Promise(resolve => setTimeout(resolve, 5))
  clearInterval(wait)
  t.same(closed.toSorted(), ['new', 'old'])
  await t.rejects(provider.unwrap('old', nothing), UnwrapError)
  t.ok(await provider.unwrap('newer', nothing))
})

t.test('loading is given the versions held at present', async t => {
  const held: unknown[] = []
  const version = versionOf('a')
  const provider = createVersionedProvider({
    name: 'test', remote: true, load: async known => { held.push(known('a')); return [version] }
  }, createLog())
  await provider.ready
  await provider.refresh()
  t.equal(held[0], undefined)
  t.equal(held[1], version)
})

t.test('closing ends what is under way and closes every version', async t => {
  const closed: string[] = []
  let released = false
  const { answers, provider } = setUp({ close: () => { released = true } })
  answers[0]?.resolve([versionOf('a', closed)])
  await provider.ready
  const refresh = t.rejects(provider.refresh())
  await provider.close()
  await refresh
  t.same(closed, ['a'])
  t.ok(released)
  t.same(provider.status(), { ready: false, reason: 'closed' })
  await t.rejects(provider.refresh())

  const starting = setUp()
  await starting.provider.close()
  await t.rejects(starting.provider.ready)
})
