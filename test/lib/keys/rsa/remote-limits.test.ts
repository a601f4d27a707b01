/** How remote private-key operations are limited, and left alone while the other side is in trouble. */
import t from 'tap'
import { KeysBusyError, UnwrapError } from '../../../../lib/keys/provider.ts'
import { createRemoteLimits } from '../../../../lib/keys/rsa/remote-limits.ts'
import type { RemoteLimitsOptions } from '../../../../lib/keys/rsa/remote-limits.ts'

/** Limits on a clock that the test turns, and a record of what failed. */
function setUp (options: RemoteLimitsOptions = {}) {
  const clock = { now: 0 }
  const failures: boolean[] = []
  const limits = createRemoteLimits(
    { ...options, now: () => clock.now }, (error, open) => { if (error) failures.push(open) }
  )
  return { clock, failures, limits }
}

const fail = async () => { throw new Error('unavailable') }
const refuse = async () => { throw new UnwrapError() }
const succeed = async () => 'done'

async function busy (promise: Promise<unknown>): Promise<number | undefined> {
  const error = await promise.then(() => undefined, (error: unknown) => error)
  return error instanceof KeysBusyError ? error.retryAfter : undefined
}

t.test('no more run at once than allowed, the others wait in order, and too many are refused', async t => {
  const { limits } = setUp({ maxConcurrent: 2, maxPending: 2 })
  const started: number[] = []
  const finish: Array<() => void> = []
  const run = (i: number) => limits.run(() => {
    started.push(i)
    return new Promise<void>(resolve => finish.push(resolve))
  })
  const runs = [0, 1, 2, 3].map(run)
  await new Promise(setImmediate)
  t.same(started, [0, 1])
  t.equal(await busy(run(4)), 1)
  for (let i = 0; i < 4; i++) {
    finish[i]?.()
    await runs[i]
    await new Promise(setImmediate)
  }
  t.same(started, [0, 1, 2, 3])
})

t.test('repeated failure opens the circuit; after the cool-down one operation decides how it goes on', async t => {
  const { clock, failures, limits } = setUp({ failureThreshold: 3, coolDown: 10_000 })
  for (let i = 0; i < 3; i++) t.ok(await busy(limits.run(fail)))
  t.same(failures, [false, false, true])
  t.equal(limits.open, true)

  clock.now = 4000
  t.equal(await busy(limits.run(async () => t.fail('must not run'))), 6, 'the seconds left')

  clock.now = 10_000
  let answer = () => {}
  const probe = limits.run(() => new Promise<void>((resolve, reject) => { answer = () => reject(new Error('still')) }))
  await new Promise(setImmediate)
  t.equal(await busy(limits.run(async () => { t.fail('must not run beside the probe') })), 1)
  answer()
  t.equal(await busy(probe), 10, 'open again')
  t.equal(limits.open, true)

  clock.now = 20_000
  t.equal(await limits.run(succeed), 'done')
  t.equal(limits.open, false)
  t.equal(await limits.run(succeed), 'done')
})

t.test('what cannot be unwrapped is an answer and does not open the circuit', async t => {
  const { failures, limits } = setUp({ failureThreshold: 2 })
  for (let i = 0; i < 5; i++) await t.rejects(limits.run(refuse), UnwrapError)
  await busy(limits.run(fail))
  await t.rejects(limits.run(refuse), UnwrapError)
  await busy(limits.run(fail))
  t.equal(limits.open, false, 'failures in a row count')
  t.same(failures, [false, false])
})

t.test('a throttled remote side is left alone for as long as it asks', async t => {
  const { clock, limits } = setUp({ coolDown: 1 })
  const throttled = Object.assign(new Error('throttled'), { retryAfter: 7 })
  t.equal(await busy(limits.run(async () => { throw throttled })), 7)
  clock.now = 6000
  t.equal(await busy(limits.run(succeed)), 1)
  clock.now = 7000
  t.equal(await limits.run(succeed), 'done')
})

t.test('an answer that was under way when the other side asked for peace does not end it', async t => {
  const { clock, limits } = setUp()
  let answer = () => {}
  const early = limits.run(() => new Promise<void>(resolve => { answer = resolve }))
  await busy(limits.run(async () => { throw Object.assign(new Error('throttled'), { retryAfter: 7 }) }))
  answer()
  await early
  t.equal(limits.open, true)
  t.equal(await busy(limits.run(async () => t.fail('must not run'))), 7)
  clock.now = 7000
  t.equal(await limits.run(succeed), 'done')
  t.equal(limits.open, false)
})

t.test('an operation that hangs is a failure, and its place is free again', async t => {
  const { failures, limits } = setUp({ maxConcurrent: 1, timeout: 5 })
  let aborted = false
  t.equal(await busy(limits.run(signal => {
    signal.addEventListener('abort', () => { aborted = true })
    return new Promise(() => undefined)
  })), 1)
  t.ok(aborted)
  t.same(failures, [false])
  t.equal(await limits.run(succeed), 'done')
})

t.test('those who wait when the circuit opens are refused without running', async t => {
  const { limits } = setUp({ maxConcurrent: 1, failureThreshold: 1 })
  const first = busy(limits.run(fail))
  const second = busy(limits.run(async () => t.fail('must not run')))
  t.ok(await first)
  t.equal(await second, 10)
})
