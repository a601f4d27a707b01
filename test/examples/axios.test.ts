/**
 * axios works through the drop-in fetch as it does through its own adapters, with an application that nobody here
 * wrote.
 */
import t from 'tap'
import { createClient, stream } from '../../examples/axios/client.ts'
import { occursIn, startWire } from '../../examples/demo/wire.ts'
import { useEverything } from '../../examples/json-server/client.ts'
import { startWorkload } from '../../examples/json-server/workload.ts'
import { startProxy } from '../fixtures/proxy.ts'

t.test('everything that the examples do holds, and an observer finds none of it, in neither direction', async t => {
  const workload = await startWorkload()
  t.teardown(() => workload.close())
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const wire = await startWire(proxy.url)
  t.teardown(() => wire.close())
  const client = createClient(wire.url)
  await useEverything(client, (claim, holds) => t.ok(holds, claim))
  await stream(client, (claim, holds) => t.ok(holds, claim))
  const observed = wire.take()
  for (const secret of ['Analytical', 'Nachwelt', '/posts', '/files/', 'upload-metadata', 'IHDR', 'x-total-count']) {
    t.notOk(occursIn(secret, observed), `no ${secret} on the wire`)
  }
})

t.test('axios passes on what the fetch throws, by its code', async t => {
  const error = await createClient('http://127.0.0.1:9').get('/').catch((error: unknown) => error)
  t.match(error, { isAxiosError: true, code: 'ERR_POLARIS_KEYS_UNAVAILABLE', cause: { name: 'PolarisFetchError' } })
})
