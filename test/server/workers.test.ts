/** Several processes serve as one: the same keys, the same replay protection, one stop. */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { freePort, run, untilReady } from '../fixtures/process.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

async function start (t: Test) {
  const workload = await startWorkload(t)
  const port = await freePort()
  const server = run(t, ['server.ts'], {
    PORT: String(port),
    POLARIS_CONTAINER_WORKERS: '2',
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true'
  })
  const url = `http://127.0.0.1:${port}`
  await untilReady(url)
  /** The processes that said that they listen. */
  const listening = () => new Set(server.lines.filter(line => line.includes('Server listening')).map(line => (JSON.parse(line) as { pid: number }).pid))
  while (listening().size < 2) await setTimeout(20)
  return { server, url, listening }
}

/** Each time over a connection of its own, so that the workers take turns. */
const get = (url: string, headers: Record<string, string> = {}) => fetch(url, { headers: { ...headers, connection: 'close' } })

t.test('every worker publishes the same key and opens what was sealed to it', async t => {
  const { url, server } = await start(t)
  const keys = new Set<string>()
  for (let i = 0; i < 8; i++) keys.add(await (await get(`${url}/polaris-container/publicKey`)).text())
  t.equal(keys.size, 1)
  const client = await v1Client(url)
  const { headers } = await client.request({ target: '/x' })
  for (let i = 0; i < 8; i++) t.match((await client.open(await get(url, headers))).toString(), '"url":"/x"')
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
})

t.test('a worker that dies is replaced, and takes nothing with it', async t => {
  const { server, url, listening } = await start(t)
  const before = await (await get(`${url}/polaris-container/publicKey`)).text()
  const [victim] = listening()
  if (victim === undefined || victim === server.child.pid) throw new Error('no worker')
  process.kill(victim, 'SIGKILL')
  await server.line(/a worker ended; starting another/)
  while (listening().size < 3) await setTimeout(20)
  await untilReady(url)
  for (let i = 0; i < 4; i++) t.equal(await (await get(`${url}/polaris-container/publicKey`)).text(), before)
  server.child.kill('SIGTERM')
  t.equal(await server.exit, 0)
  for (const pid of listening()) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' }, 'no process is left behind')
})
