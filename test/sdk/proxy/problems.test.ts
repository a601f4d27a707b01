// polaris proxy: what an exchange can fail with has a problem of its own. What has none would be called a bug.
import t from 'tap'
import { PolarisFetchError } from '../../../sdk/fetch/errors.ts'
import type { PolarisFetchErrorCode } from '../../../sdk/fetch/errors.ts'
import { createProblems } from '../../../sdk/proxy/exchange/problems.ts'

const problemOf = createProblems(() => undefined)
const cases: [code: PolarisFetchErrorCode, problem: string, status: number][] = [
  ['ERR_POLARIS_KEYS_UNAVAILABLE', 'cannot-verify', 502],
  ['ERR_POLARIS_NO_USABLE_KEY', 'cannot-verify', 502],
  ['ERR_POLARIS_NOT_A_GATEWAY', 'refused', 502],
  ['ERR_POLARIS_CONNECTION', 'unreachable', 502],
  // Nothing takes the connection, or the system gives it up.
  ['ERR_POLARIS_TIMEOUT', 'unreachable', 502],
  ['ERR_POLARIS_INCOMPLETE', 'incomplete', 502],
  ['ERR_POLARIS_RESPONSE', 'not-authentic', 502]
]

t.test('each failure of an exchange is a problem with what fetch says', async t => {
  for (const [code, problem, status] of cases) {
    t.match(
      problemOf(new PolarisFetchError(code, 'what happened')), { code: problem, status, message: 'what happened' }, code
    )
  }
  t.equal(problemOf(new TypeError('a mistake')), undefined)
})

t.test('what the environment has to do with it is added', async t => {
  const error = new PolarisFetchError('ERR_POLARIS_CONNECTION', 'what happened')
  t.match(createProblems(() => 'And why')(error), { message: 'what happened. And why' })
})
