/** `node server.ts` serves the keys that the settings name, and takes up new ones while it serves. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { startServer, untilReady } from '../fixtures/process.ts'
import { noRedis, startRedis } from '../fixtures/redis.ts'
import type { Server } from '../fixtures/process.ts'
import { rsaKey } from '../fixtures/rsa.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

const [first, second] = [rsaKey(), rsaKey()] as const

/** Puts a key into the place of the file, at once. */
function place (path: string, pem: string): void {
  writeFileSync(`${path}.new`, pem, { mode: 0o400 })
  renameSync(`${path}.new`, path)
}

async function publicKey ({ url }: Server): Promise<string> {
  return (await (await fetch(`${url}/polaris-container/publicKey`)).json() as { publicKey: string }).publicKey
}

async function untilKey (server: Server, pem: string): Promise<void> {
  while (await publicKey(server) !== pem) await setTimeout(20)
}

async function setUp (t: Test, env: Record<string, string> = {}) {
  const path = join(t.testdir(), 'key.pem')
  place(path, first.privatePem)
  const workload = await startWorkload(t)
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url,
    POLARIS_CONTAINER_ENABLE_INPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_ENABLE_OUTPUT_ENCRYPTION: 'true',
    POLARIS_CONTAINER_KEY_TYPE: 'file',
    POLARIS_CONTAINER_KEY_FILE: path,
    ...env
  })
  await untilReady(server.url)
  return { path, server }
}

for (const workers of ['1', '2']) {
  for (const [how, interval, tell] of [
    ['the refresh interval', '50ms', () => undefined],
    ['SIGHUP', '0', ({ child }: Server) => { child.kill('SIGHUP') }]
  ] as const) {
    t.test(`${workers} worker(s): a key file that is replaced is taken up by ${how}, and the key before still ` +
      'opens', async t => {
      const { path, server } = await setUp(
        t, { POLARIS_CONTAINER_KEY_REFRESH_INTERVAL: interval, POLARIS_CONTAINER_WORKERS: workers }
      )
      t.equal(await publicKey(server), first.publicPem)
      const before = await v1Client(server.url)
      place(path, second.privatePem)
      tell(server)
      await untilKey(server, second.publicPem)
      for (const client of [before, await v1Client(server.url)]) {
        const answer = await fetch(server.url, { method: 'POST', ...await client.request({ target: '/x' }) })
        t.match(JSON.parse((await client.open(answer)).toString()), { url: '/x' })
      }
      t.notMatch(server.lines.join(''), 'PRIVATE KEY')
    })
  }
}

t.test('a refresh that fails leaves the keys in use, and says so', async t => {
  const { path, server } = await setUp(t, { POLARIS_CONTAINER_KEY_REFRESH_INTERVAL: '0' })
  place(path, 'no key')
  server.child.kill('SIGHUP')
  await server.line(/could not refresh keys; continuing with the current ones/)
  t.equal(await publicKey(server), first.publicPem)
  t.equal((await fetch(`${server.url}/polaris-container/readyz`)).status, 200)
  place(path, second.privatePem)
  server.child.kill('SIGHUP')
  await untilKey(server, second.publicPem)
})

t.test('keys that come after the start had failed are taken up, and HPKE keys derived from them', {
  skip: noRedis
}, async t => {
  const redis = await startRedis(t)
  const path = join(t.testdir(), 'key.pem')
  place(path, 'no key')
  const server = await startServer(t, {
    POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9',
    POLARIS_CONTAINER_KEY_TYPE: 'file',
    POLARIS_CONTAINER_KEY_FILE: path,
    POLARIS_CONTAINER_HPKE_SEED: 'derived',
    POLARIS_CONTAINER_REPLAY_STORE: redis.url
  })
  await server.line(/"keys failed"/)
  t.equal((await fetch(`${server.url}/polaris-container/readyz`)).status, 503)
  place(path, first.privatePem)
  server.child.kill('SIGHUP')
  await untilReady(server.url)
  t.equal(await publicKey(server), first.publicPem)
})

t.test('settings that a key type lacks end the process before it listens', async t => {
  await t.rejects(startServer(
    t, { POLARIS_CONTAINER_WORKLOAD_BASE_URL: 'http://127.0.0.1:9', POLARIS_CONTAINER_KEY_TYPE: 'azure-skr' }
  ),
  {
    message: /AZURE_SKR_MAA_ENDPOINT is required[^]*AZURE_SKR_AKV_ENDPOINT is required[^]*AZURE_SKR_KID is required/
  })
})
