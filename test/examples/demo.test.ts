/** The demo keeps what the README promises of it. */
import t from 'tap'
import { runScript } from '../fixtures/script.ts'

const DEMO = 'examples/demo/demo.ts'

t.test('the demo shows all sides of the exchange, verifies them, and ends with 0', async t => {
  const demo = runScript(t, [DEMO])
  t.equal(await demo.ended, 0, 'nothing is left that would keep it running')
  for (const part of [
    'Oblivious HTTP', 'Polaris v1', 'What the client sent', 'What an observer on the wire sees',
    'What the workload received', 'What the client got back'
  ]) {
    t.match(demo.output(), part)
  }
  t.match(demo.output(), /All \d+ checks passed/)
  t.notMatch(demo.output(), '✗')
  t.notMatch(demo.output(), '\x1b', 'no colour where nobody looks')
})

t.test('--serve can be called as it says, and ends with 0 on SIGINT', async t => {
  const demo = runScript(t, [DEMO, '--serve'])
  await demo.seen(/^Ready\./m)
  const [, proxyUrl = ''] = await demo.seen(/The proxy listens on +(\S+)/)

  const health = await fetch(`${proxyUrl}/polaris-container/health`)
  t.same(await health.json(), { status: 'ok' })
  t.equal((await fetch(`${proxyUrl}/records`)).status, 400, 'a request in clear is refused')

  const call = runScript(t, ['examples/demo/call.ts', proxyUrl, '/records?patient=4711'])
  t.equal(await call.ended, 0)
  t.match(call.output(), /201 .*stored: true/)
  await demo.seen(/the workload received: GET \/records\?patient=4711/)

  demo.signal('SIGINT')
  t.equal(await demo.ended, 0)
  t.match(demo.output(), 'stopped')
})

t.test('an unknown option is refused with 2 and the usage', async t => {
  const demo = runScript(t, [DEMO, '--colour'])
  t.equal(await demo.ended, 2)
  t.match(demo.output(), 'usage: npm run demo')
})

t.test('a call without an address is refused with 2 and the usage', async t => {
  const call = runScript(t, ['examples/demo/call.ts'])
  t.equal(await call.ended, 2)
  t.match(call.output(), 'usage: node examples/demo/call.ts')
})
