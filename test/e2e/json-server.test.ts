/** A real application from npm, that nobody here wrote, works through encrypted axios as it does without the proxy. */
import axios from 'axios'
import t from 'tap'
import { occursIn, startWire } from '../../examples/demo/wire.ts'
import { createClient, useEverything } from '../../examples/json-server/client.ts'
import { startWorkload } from '../../examples/json-server/workload.ts'
import { startProxy } from '../fixtures/proxy.ts'

t.test('everything that the example does holds, and an observer finds none of it', async t => {
  const workload = await startWorkload()
  t.teardown(() => workload.close())
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
  )
  const wire = await startWire(proxy.url)
  t.teardown(() => wire.close())

  await useEverything(createClient(wire.url), (claim, holds) => t.ok(holds, claim))

  const observed = wire.take()
  for (const secret of ['Analytical', 'Nachwelt', '_sort=likes', 'IHDR', 'no-such-file']) {
    t.notOk(occursIn(secret, observed), `no ${secret} on the wire`)
    t.notOk(proxy.log.some(line => line.includes(secret)), `no ${secret} in the log`)
  }
  // json-server and tus put these into response headers, too, which v1 leaves in clear.
  for (const secret of ['/posts?', '/files/', 'upload-metadata']) {
    t.notOk(occursIn(secret, { ...observed, fromProxy: Buffer.alloc(0) }), `no ${secret} in requests`)
  }
})

t.test('the same steps hold without encryption and proxy: they test the proxy, not the application', async t => {
  const workload = await startWorkload()
  t.teardown(() => workload.close())
  await useEverything(axios.create({ baseURL: workload.url }), (claim, holds) => t.ok(holds, claim))
})
