/** When a remote operation is tried again, after which wait, and when no more. */
import t from 'tap'
import { RemoteError } from '../../../lib/remote/error.ts'
import type { RemoteFailure } from '../../../lib/remote/error.ts'
import { retry, TimeoutError, withTimeout } from '../../../lib/remote/retry.ts'

const quick = { firstDelay: 1, maxDelay: 2 }
const never = new AbortController().signal
const fails = (kind: RemoteFailure, retryAfter?: number) =>
  new RemoteError(kind, 'it failed', { providerCode: 'CODE', advice: 'do something', retryAfter })

/** An attempt that throws these, one after another, and then succeeds. */
function attemptOf (...errors: unknown[]): () => Promise<string> {
  return async () => {
    if (errors.length > 0) throw errors.shift()
    return 'done'
  }
}

t.test('what is transient or refused is tried again, and every failure is reported with the wait', async t => {
  const heard: unknown[] = []
  const errors = [fails('transient'), fails('refused'), fails('transient')]
  t.equal(await retry(
    attemptOf(...errors), quick, never, (error, attempt, retryIn) => heard.push([error, attempt, typeof retryIn])
  ), 'done')
  t.same(heard, errors.map((error, i) => [error, i + 1, 'number']))
})

t.test('waits double up to the maximum, and vary by at most a half', async t => {
  const waits: number[] = []
  await retry(attemptOf(...Array.from({ length: 8 }, () => fails('transient'))), { firstDelay: 2, maxDelay: 16 }, never,
    (error, attempt, retryIn) => { if (error) waits.push(retryIn ?? NaN) })
  for (const [i, wait] of waits.entries()) {
    const full = Math.min(16, 2 * 2 ** i)
    t.ok(wait >= full / 2 && wait <= full, `${wait} is between ${full / 2} and ${full}`)
  }
})

t.test('bad configuration is not tried again', async t => {
  const heard: unknown[] = []
  const error = fails('configuration')
  await t.rejects(retry(attemptOf(error), quick, never, (...all) => heard.push(all)), error)
  t.same(heard, [[error, 1, undefined]])
})

t.test('no attempt begins after the deadline', async t => {
  const error = fails('transient')
  await t.rejects(retry(attemptOf(error), { firstDelay: 1000, deadline: 499 }, never, () => undefined), error)
})

t.test('the other side may ask for a longer wait', async t => {
  let wait: number | undefined
  await t.rejects(retry(
    attemptOf(fails('transient', 100)), { ...quick, deadline: 1000 }, never, (e, a, retryIn) => { wait = retryIn }
  ))
  t.equal(wait, undefined, 'longer than the deadline: given up at once')
  await retry(attemptOf(fails('transient', 0.01)), quick, never, (e, a, retryIn) => { wait = retryIn })
  t.equal(wait, 10)
})

t.test('a fixed policy retries so often, so far apart, whatever the deadline', async t => {
  const waits: unknown[] = []
  const errors = Array.from({ length: 4 }, () => fails('transient'))
  const policy = { deadline: 1, fixed: { retries: 3, interval: 3 } }
  await t.rejects(retry(attemptOf(...errors), policy, never, (e, a, retryIn) => waits.push(retryIn)))
  t.same(waits, [3, 3, 3, undefined])
})

t.test('an attempt that hangs is ended and counts as a failure', async t => {
  let aborted = false
  let calls = 0
  const result = await retry(signal => {
    signal.addEventListener('abort', () => { aborted = true })
    return ++calls === 1 ? new Promise<string>(() => undefined) : Promise.resolve('done')
  }, { ...quick, attemptTimeout: 5 }, never, error => t.match(error, { kind: 'transient', providerCode: 'TIMEOUT' }))
  t.equal(result, 'done')
  t.ok(aborted)
})

t.test('an unexpected error is transient, and only its code goes further', async t => {
  const cases: Array<[unknown, string]> = [
    [Object.assign(new Error('token abc'), { code: 'ESOMETHING' }), 'ESOMETHING'],
    [Object.assign(new Error('token abc'), { code: 'eyJhbGciOi.J9.x' }), 'Error'],
    [new TypeError('token abc'), 'TypeError'],
    ['token abc', 'UNKNOWN']
  ]
  for (const [thrown, providerCode] of cases) {
    await retry(attemptOf(thrown), quick, never, error => {
      t.match(error, { kind: 'transient', providerCode })
      t.notMatch(`${error.message} ${error.advice}`, 'abc')
    })
  }
})

t.test('aborting ends the attempt, and the wait for the next', async t => {
  for (const attempt of [() => new Promise<string>(() => undefined), attemptOf(fails('transient'))]) {
    const controller = new AbortController()
    const running = retry(attempt, { firstDelay: 60_000 }, controller.signal, () => undefined)
    setImmediate(() => controller.abort(new Error('closed')))
    await t.rejects(running)
  }
})

t.test('withTimeout gives the outcome, in time or not at all', async t => {
  t.equal(await withTimeout(async () => 1, 1000), 1)
  await t.rejects(withTimeout(async () => { throw new RangeError('mine') }, 1000), RangeError)
  await t.rejects(withTimeout(() => new Promise(() => undefined), 1), TimeoutError)
  await t.rejects(withTimeout(async () => 1, 1000, AbortSignal.abort(new RangeError('before'))), RangeError)
})
