/**
 * Replicas that derive their HPKE keys are given another RSA key, one replica after the other, as docs/keys-rotate.md
 * says: first behind the old one, then in front of it, then alone. Clients hold keys all the while, replicas restart,
 * and no exchange fails, in either protocol.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { KeyConfig } from '../../lib/protocols/ohttp/key-config.ts'
import { startBalancer } from '../fixtures/balancer.ts'
import { encapsulate, fetchKey, requestHead, send } from '../fixtures/ohttp-client.ts'
import { untilReady } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import type { Proxy } from '../fixtures/proxy.ts'
import { rsaKey } from '../fixtures/rsa.ts'
import type { RsaKey } from '../fixtures/rsa.ts'
import { noRedis, startRedis } from '../fixtures/redis.ts'
import { startWorkload } from '../fixtures/workload.ts'
import { v1Client } from '../fixtures/v1-client.ts'

/** For how long clients use a key that they fetched, in milliseconds; on a slow machine, for longer. */
const HELD = 1000
const ROTATION = 2000

const firstId = ({ keyId }: RsaKey) => Buffer.from(keyId, 'base64url')[0] ?? 0
const first = rsaKey()
let second = rsaKey()
// Else their HPKE keys could have the same ids, which docs/keys-rotate.md says to look out for.
while (Math.abs(firstId(first) - firstId(second)) < 60) second = rsaKey()

const publishedPem = async (url: string) =>
  (await (await fetch(`${url}/polaris-container/publicKey`)).json() as { publicKey: string }).publicKey

/** Whether a published HPKE key is made of an RSA key: their ids follow the epochs. */
function isOf (rsa: RsaKey, { keyId }: KeyConfig): boolean {
  const epoch = Math.floor(Date.now() / ROTATION)
  return [epoch - 1, epoch, epoch + 1].some(epoch => (firstId(rsa) + epoch) % 256 === keyId)
}

for (const way of ['a restart', 'a reload'] as const) {
  t.test(`no exchange fails while the RSA key is changed by ${way} of each replica`, { skip: noRedis }, async t => {
    const workload = await startWorkload(t)
    const { url: replayStore } = await startRedis(t)
    const directory = t.testdir()
    const replicas: Proxy[] = []
    const files = new Map<Proxy, string>()
    const start = async (file: string) => {
      const replica = await startProxy(t, {
        workloadBaseUrl: workload.url,
        enableInputEncryption: true,
        enableOutputEncryption: true,
        replayStore,
        keyType: 'file',
        keyFile: file,
        hpkeSeed: 'derived',
        hpkeRotation: ROTATION,
        hpkeRetirement: '30s',
        stopDelay: '500ms'
      })
      await untilReady(replica.url)
      files.set(replica, file)
      replicas.push(replica)
    }
    const restart = async () => {
      const [replica] = replicas.splice(0, 1)
      await replica?.close()
      await start(files.get(replica!)!)
    }
    const write = (file: string, keys: readonly RsaKey[]) => writeFileSync(
      file, keys.map(({ privatePem }) => privatePem).join(''), { mode: 0o600 }
    )
    for (const name of ['a', 'b', 'c']) {
      write(join(directory, name), [first])
      await start(join(directory, name))
    }
    const url = await startBalancer(t, replicas)

    const progress = { over: false }
    let exchanges = 0
    /** When the keys that clients hold were asked for. */
    const asked = new Map<object, number>()
    /** Fetches what it needs, uses it for a while, and does so again. */
    const client = async <T>(fetchHeld: () => Promise<T>, exchange: (held: T, path: string) => Promise<string>) => {
      while (!progress.over) {
        const now = performance.now()
        const held = await fetchHeld()
        asked.set(fetchHeld, now)
        for (const until = Date.now() + HELD; Date.now() < until && !progress.over;) {
          const path = `/${exchanges++}`
          if (JSON.parse(await exchange(held, path)).url !== path) throw new Error('another answer')
          await setTimeout(10)
        }
      }
    }
    const clients = Promise.all([
      ...[true, false].map(chunked => client(() => fetchKey(url), async (held, path) => {
        const request = await encapsulate(held, requestHead('POST', path), Buffer.from(path), { chunked })
        return (await request.open(await send(`${url}/.well-known/ohttp-gateway`, request))).body.toString()
      })),
      client(() => v1Client(url), async (held, path) => {
        const response = await fetch(url, { method: 'POST', ...await held.request({ target: path, body: path }) })
        if (response.status !== 200) throw new Error(await response.text())
        return (await held.open(response)).toString()
      })
    ])

    const change = async () => {
      const sequence = [[first, second], [second, first], [second]]
      for (const keys of sequence) {
        for (let i = 0; i < 3; i++) {
          const file = files.get(replicas[0]!)!
          write(file, keys)
          if (way === 'a restart') await restart()
          else {
            const [replica] = replicas.splice(0, 1)
            replicas.push(replica!)
            process.emit('SIGHUP')
          }
          await setTimeout(100)
        }
        // Whoever crashes and comes back in between makes no difference.
        await restart()
        for (const { url } of replicas) {
          while (!progress.over && !isOf(keys[0]!, await fetchKey(url))) await setTimeout(20)
        }
        // Until no client holds what was published before.
        const changed = performance.now()
        while (!progress.over && [...asked.values()].some(at => at < changed)) await setTimeout(20)
        if (progress.over) return
      }
    }
    await t.resolves(Promise.race([clients, change()]))
    progress.over = true
    await t.resolves(clients)
    t.equal(workload.received.length, exchanges)
    for (const replica of replicas) t.equal(await publishedPem(replica.url), second.publicPem)
    t.ok(isOf(second, await fetchKey(url)), 'the HPKE keys are of the new RSA key, too')
  })
}
