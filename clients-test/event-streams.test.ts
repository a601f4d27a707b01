// Event streams that the proxy shapes: httpx-sse reads the same events as from the workload itself. (What npm has of
// such clients is in test/routes/answers/shaping.test.ts.)
import t from 'tap'
import { runClient, startChain, startModel } from './fixtures/chain.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(120_000)

const skip = absent(tools.python)
t.test('httpx-sse reads the same events', { skip: skip ?? false }, async t => {
  const direct = await startModel(t)
  const { local } = await startChain(t, direct, { streamShaping: '20ms,128' })
  const client = [tools.python, 'python/with_httpx_sse.py']
  const plain = await runClient<unknown[][]>(client, direct)
  t.ok(plain.length === 2 && plain.every(events => events.length > 3))
  t.same(await runClient(client, local), plain)
})
