/**
 * Replicas behind one address that share their HPKE keys: whoever holds a key is served by any of them, while keys are
 * rotated and replicas are restarted.
 */
import { setTimeout } from 'node:timers/promises'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../lib/config/config.ts'
import { createPolarisFetch } from '../../sdk/fetch/index.ts'
import { startBalancer } from '../fixtures/balancer.ts'
import { encapsulate, fetchKey, requestHead, send } from '../fixtures/ohttp-client.ts'
import { untilReady } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { rsaKey } from '../fixtures/rsa.ts'
import { noRedis, startRedis } from '../fixtures/redis.ts'
import { startWorkload } from '../fixtures/workload.ts'

const key = rsaKey()

function keyFile (t: Test): string {
  const path = join(t.testdir(), 'key.pem')
  writeFileSync(path, key.privatePem, { mode: 0o400 })
  return path
}

const shared: Record<string, (keyFile: string) => ConfigInput> = {
  derived: keyFile => ({ keyFile, hpkeSeed: 'derived' }),
  sealed: keyFile => ({ keyFile, hpkeSeed: 'sealed', hpkeSeedFile: `${keyFile}.seed` })
}

for (const [name, settings] of Object.entries(shared)) {
  t.test(`${name}: no exchange fails while keys are rotated and each replica is restarted in turn`, {
    skip: noRedis
  }, async t => {
    const workload = await startWorkload(t)
    const { url: replayStore } = await startRedis(t)
    const config: ConfigInput = {
      workloadBaseUrl: workload.url,
      enableInputEncryption: true,
      replayStore,
      keyType: 'file',
      hpkeRotation: '1500ms',
      hpkeRetirement: '6s',
      stopDelay: '500ms',
      ...settings(keyFile(t))
    }
    const start = async () => {
      const replica = await startProxy(t, config)
      await untilReady(replica.url)
      return replica
    }
    const replicas = await Promise.all([start(), start(), start()])
    const url = await startBalancer(t, replicas)

    let exchanges = 0
    const progress = { restarts: 0 }
    const usedKeys = new Set<number>()
    const client = async (exchange: (path: string) => Promise<void>) => {
      while (progress.restarts < 3 || usedKeys.size < 4) {
        await exchange(`/${exchanges++}`)
        await setTimeout(10)
      }
    }
    /** Takes a key, and uses it for as long as its epoch and a while after. */
    const cachingClient = async () => {
      let [held, until] = [await fetchKey(url), Date.now() + 3000]
      await client(async path => {
        if (Date.now() > until) [held, until] = [await fetchKey(url), Date.now() + 3000]
        usedKeys.add(held.keyId)
        const request = await encapsulate(held, requestHead('POST', path), Buffer.from(path))
        const inner = await request.open(await send(`${url}/.well-known/ohttp-gateway`, request))
        if (JSON.parse(inner.body.toString()).url !== path) throw new Error('another answer')
      })
    }
    const sdkClient = async () => {
      const polaris = createPolarisFetch({ baseURL: url })
      await client(async path => {
        const response = await polaris(url + path, { method: 'POST', body: path })
        if ((await response.json() as { url: string }).url !== path) throw new Error('another answer')
      })
    }
    const clients = Promise.all([cachingClient(), cachingClient(), sdkClient(), sdkClient()])
    const restarts = (async () => {
      for (let i = 0; i < 3; i++) {
        await setTimeout(500)
        // As a load balancer does, which sees that a replica is not ready. What it sent just before, STOP_DELAY is for.
        const [replica] = replicas.splice(0, 1)
        await replica?.close()
        replicas.push(await start())
        progress.restarts++
      }
    })()
    await t.resolves(Promise.all([clients, restarts]))
    t.equal(workload.received.length, exchanges)
  })
}

t.test('instance: replicas have keys of their own', async t => {
  const workload = await startWorkload(t)
  const start = () => startProxy(t, { workloadBaseUrl: workload.url, keyType: 'file', keyFile: keyFile(t) })
  const [first, second] = await Promise.all([start(), start()])
  await Promise.all([untilReady(first.url), untilReady(second.url)])
  t.not(
    Buffer.from((await fetchKey(first.url)).publicKey).toString('hex'),
    Buffer.from((await fetchKey(second.url)).publicKey).toString('hex')
  )
})

t.test('a seed file that cannot be used keeps the replica from being ready, and readyz says why', async t => {
  const path = keyFile(t)
  for (const content of ['{}', 'x'.repeat(20_000)]) {
    writeFileSync(`${path}.seed`, content)
    const replica = await startProxy(t, {
      workloadBaseUrl: 'http://127.0.0.1:9',
      replayStore: 'redis://127.0.0.1:9',
      keyType: 'file',
      keyFile: path,
      hpkeSeed: 'sealed',
      hpkeSeedFile: `${path}.seed`
    })
    let reasons: string[] = []
    while (!reasons.includes('hpke: The seed file is malformed: remove it')) {
      const response = await fetch(`${replica.url}/polaris-container/readyz`)
      t.equal(response.status, 503)
      reasons = (await response.json() as { reasons: string[] }).reasons
      await setTimeout(20)
    }
    t.match(replica.log.join(''), /could not make HPKE keys; trying again/)
  }
})
