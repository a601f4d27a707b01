/** The openai package works through the proxy as it does without it, word by word, and an observer finds none of it. */
import t from 'tap'
import { occursIn, startWire } from '../../examples/demo/wire.ts'
import { PROMPT, createClient, stream, useEverything } from '../../examples/openai/client.ts'
import { API_KEY, startWorkload } from '../../examples/openai/workload.ts'
import { startProxy } from '../fixtures/proxy.ts'

t.test('everything that the example does holds, and nothing of it is on the wire or in the log', async t => {
  const workload = await startWorkload(async () => undefined)
  t.teardown(() => workload.close())
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const wire = await startWire(proxy.url)
  t.teardown(() => wire.close())
  await useEverything(wire.url, (claim, holds) => t.ok(holds, claim))
  const observed = wire.take()
  t.ok(observed.fromClient.length > 3_000_000)
  for (const secret of [
    ...PROMPT.split(' ').filter(word => word.length > 5), API_KEY, '/v1/chat', 'chat.completion', 'scan.png'
  ]) {
    t.notOk(occursIn(secret, observed), `no ${secret} on the wire`)
    t.notOk(proxy.log.some(line => line.includes(secret)), `no ${secret} in the log`)
  }
})

t.test('each word arrives before the model thinks of the next', async t => {
  let think: () => void = () => undefined
  const workload = await startWorkload(() => new Promise<void>(resolve => { think = resolve }))
  t.teardown(() => workload.close())
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const words: string[] = []
  for await (const { choices } of await stream(createClient(proxy.url))) {
    const word = choices[0]?.delta.content
    if (word) words.push(word)
    // The workload waits for this, so a word that is held back anywhere would be the last.
    setImmediate(() => think())
  }
  t.equal(words.join(''), PROMPT)
})
