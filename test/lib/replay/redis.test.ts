/** The replay store that replicas share, on a real Redis server: atomic, bounded in time, and closed when in doubt. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { formats } from '../../../lib/config/settings.ts'
import { parseTarget } from '../../../lib/replay/redis-client.ts'
import { connectRedis } from '../../../lib/replay/redis.ts'
import { ReplayStoreError } from '../../../lib/replay/store.ts'
import type { ReplayStore } from '../../../lib/replay/store.ts'
import { createAuthority } from '../../fixtures/certificates.ts'
import { freePort, run } from '../../fixtures/process.ts'
import { noRedis, startRedis } from '../../fixtures/redis.ts'

const skip = noRedis

interface Told {
  readonly store: ReplayStore
  readonly states: string[]
}

function open (t: Test, url: string, remember = 60_000): Told {
  const states: string[] = []
  const connection = connectRedis({ url, onState: (state, reason) => states.push([state, reason].join(' ').trim()) })
  t.teardown(() => connection.close())
  const store = connection.store({ prefix: 'polaris:replay:', remember, strict: true })
  return { store, states }
}

async function untilWell (store: ReplayStore): Promise<void> {
  while (store.problem() !== undefined) await setTimeout(10)
}

async function untilProblem (store: ReplayStore): Promise<string> {
  for (;;) {
    const problem = store.problem()
    if (problem !== undefined) return problem
    await setTimeout(10)
  }
}

t.test('a digest is admitted once among stores that share a server', { skip }, async t => {
  const redis = await startRedis(t)
  const { store: one } = open(t, redis.url)
  const { store: other } = open(t, redis.url)
  await untilWell(one)
  await untilWell(other)
  const digest = randomBytes(16)
  t.equal(await one.admit(digest), true)
  t.equal(await other.admit(digest), false)
  t.equal(await one.admit(digest), false)

  const contested = randomBytes(16)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? one : other).admit(contested)))
  t.equal(answers.filter(Boolean).length, 1)
})

t.test('the server forgets a digest after the time it is told', { skip }, async t => {
  const redis = await startRedis(t)
  const { store } = open(t, redis.url, 121_000)
  await untilWell(store)
  await store.admit(randomBytes(16))
  const [key = ''] = redis.cli('keys', '*').trim().split('\n')
  t.match(key, /^polaris:replay:[\w-]{22}$/)
  const left = Number(redis.cli('pttl', key))
  t.ok(left > 60_000 && left <= 121_000, `${left} ms left`)

  const { store: brief } = open(t, redis.url, 1)
  await untilWell(brief)
  const digest = randomBytes(16)
  await brief.admit(digest)
  while (redis.cli('dbsize').trim() !== '1') await setTimeout(10)
  t.equal(await brief.admit(digest), true)
})

t.test('a server that is gone refuses everything; once it is back the store works again', { skip }, async t => {
  const redis = await startRedis(t)
  const { store, states } = open(t, redis.url)
  await untilWell(store)
  await redis.kill()
  t.match(await untilProblem(store), /^no connection/)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  // Long enough for several attempts to connect, which are not told one by one.
  await setTimeout(500)
  await redis.start()
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  t.match(states, ['connected', /^disconnected no connection/, 'connected'])
  t.equal(states.length, 3)
})

t.test('a server that stops answering refuses, within the time a command may take, and its connection is given up', {
  skip
}, async t => {
  const redis = await startRedis(t)
  const { store } = open(t, redis.url)
  await untilWell(store)
  redis.freeze()
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  t.match(await untilProblem(store), /^no connection/)
  redis.thaw()
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
})

t.test('a server that never answers, or that is not there, refuses at once', async t => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => { silent.close() })
  for (const port of [(silent.address() as AddressInfo).port, await freePort()]) {
    const { store } = open(t, `redis://127.0.0.1:${port}`)
    await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
    await setTimeout(100)
    await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
    t.match(store.problem(), /^(connecting|no connection)/)
  }
})

t.test('a wrong password refuses, and is not told', { skip }, async t => {
  const redis = await startRedis(t, ['--requirepass', 'right-password'])
  const { store: right } = open(t, redis.url.replace('//', '//:right-password@'))
  await untilWell(right)
  t.equal(await right.admit(randomBytes(16)), true)
  const { store, states } = open(t, redis.url.replace('//', '//:wrong-password@'))
  const error = await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  await setTimeout(300)
  t.not(store.problem(), undefined)
  t.notMatch([store.problem(), ...states, String(error)].join(), /password|127\.0\.0\.1/)
})

t.test('a server full to the brim refuses: it does not make room by forgetting', { skip }, async t => {
  const redis = await startRedis(t, ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'])
  const { store, states } = open(t, redis.url)
  while (store.problem() !== 'refuses commands (OOM)') await setTimeout(10)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  redis.cli('config', 'set', 'maxmemory', '0')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  t.strictSame(states, ['connected', 'refuses commands OOM', 'accepts commands'])
})

t.test('a user who may not write is a problem with a name, until an operator allows it', { skip }, async t => {
  const redis = await startRedis(t)
  redis.cli('acl', 'setuser', 'proxy', 'on', '>p@ss/w:rd#%', '~polaris:*', '+ping', '+info')
  const { store, states } = open(t, redis.url.replace('//', `//proxy:${encodeURIComponent('p@ss/w:rd#%')}@`))
  while (store.problem() !== 'refuses commands (NOPERM)') await setTimeout(10)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  redis.cli('acl', 'setuser', 'proxy', '+set')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  t.strictSame(states, ['connected', 'refuses commands NOPERM', 'accepts commands'])
})

t.test('a user who may do nothing but SET is enough; that nothing else can be checked is said once', {
  skip
}, async t => {
  const redis = await startRedis(t)
  redis.cli('acl', 'setuser', 'proxy', 'on', '>secret', '~polaris:*', '+set')
  const { store, states } = open(t, redis.url.replace('//', '//proxy:secret@'))
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  t.strictSame(states, ['connected', 'cannot be checked INFO: NOPERM'])
})

t.test('a replica that only reads is a problem with a name', { skip }, async t => {
  const primary = await startRedis(t)
  const replica = await startRedis(t, ['--replicaof', '127.0.0.1', String(primary.port)])
  const { store, states } = open(t, replica.url)
  while (store.problem() !== 'refuses commands (READONLY)') await setTimeout(10)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  t.strictSame(states, ['connected', 'refuses commands READONLY'])
})

t.test('while the clock of this machine is far from the server\'s, what is dated is refused: it may be forgotten', {
  skip
}, async t => {
  const redis = await startRedis(t)
  let offset = 0
  const states: string[] = []
  const connection = connectRedis({
    url: redis.url,
    now: () => Date.now() + offset,
    onState: (state, reason) => states.push([state, reason].join(' ').trim())
  })
  t.teardown(() => connection.close())
  const store = connection.store(
    { prefix: 'polaris:replay:', remember: 120_000, strict: true, clockTolerance: 60_000 }
  )
  const messages = connection.store({ prefix: 'polaris:replay:v1:', remember: 120_000, strict: false })
  await untilWell(store)
  for (offset of [0, 50_000, -50_000]) {
    t.equal(await store.admit(randomBytes(16), Date.now() + offset), true, `${offset}`)
  }
  for (offset of [300_000, -300_000]) {
    await t.rejects(async () => store.admit(randomBytes(16), Date.now() + offset), ReplayStoreError)
    t.match(store.problem(), new RegExp(`^its clock is ${-offset / 1000} s ahead`))
    t.equal(await store.admit(randomBytes(16)), true, 'what has no date is remembered for as long as it is good')
    t.equal(messages.problem(), undefined)
    t.equal(await messages.admit(randomBytes(16)), true)
  }
  while (states.length < 2) await setTimeout(50)
  offset = 0
  t.equal(await store.admit(randomBytes(16), Date.now()), true, 'at once')
  while (states.length < 3) await setTimeout(50)
  t.strictSame(states, ['connected', 'disagrees about the time 300 s ahead', 'agrees about the time 0 s ahead'])
})

t.test('a server that may forget is told of; one that did forget refuses for as long as it should have remembered', {
  skip
}, async t => {
  const redis = await startRedis(t, ['--maxmemory', '3mb', '--maxmemory-policy', 'allkeys-random'])
  const { store, states } = open(t, redis.url, 8_000)
  await untilWell(store)
  t.strictSame(states, ['connected', 'may forget maxmemory-policy allkeys-random'])
  t.equal(await store.admit(randomBytes(16)), true)
  for (let i = 0; i < 20; i++) redis.cli('set', `other:${i}`, 'x'.repeat(100_000))
  t.equal(await untilProblem(store), 'forgets keys (maxmemory-policy allkeys-random)')
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
  redis.cli('config', 'set', 'maxmemory', '0')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
})

t.test('a policy that forgets is no problem without a limit on memory', { skip }, async t => {
  const redis = await startRedis(t, ['--maxmemory', '0', '--maxmemory-policy', 'allkeys-lru'])
  const { store, states } = open(t, redis.url)
  await untilWell(store)
  t.strictSame(states, ['connected'])
})

t.test('the date of what this process saw long ago is refused, even when the server has forgotten it', {
  skip
}, async t => {
  const redis = await startRedis(t)
  const { store } = open(t, redis.url, 200)
  await untilWell(store)
  const [old, digest] = [randomBytes(16), randomBytes(16)]
  t.equal(await store.admit(digest, 1000), true)
  for (let i = 0; i < 10; i++) {
    await setTimeout(100)
    t.equal(await store.admit(digest, 1000), false, `after ${i}`)
  }
  t.equal(await store.admit(old, 999), false, 'and what is older')
  t.equal(await store.admit(old, 1001), true)
})

t.test('a primary that became a replica is left for the one that is behind the name by now', { skip }, async t => {
  const [old, other] = [await startRedis(t), await startRedis(t)]
  // What a name in DNS does for those who connect anew.
  let port = old.port
  const sockets = new Set<Socket>()
  const name = createServer(socket => {
    const onwards = connect(port, '127.0.0.1')
    for (const [from, to] of [[socket, onwards], [onwards, socket]] as const) {
      sockets.add(from)
      from.on('error', () => to.destroy()).on('close', () => to.destroy()).pipe(to)
    }
  }).listen(0, '127.0.0.1')
  await once(name, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    name.close()
  })
  const { store } = open(t, `redis://127.0.0.1:${(name.address() as AddressInfo).port}`)
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
  old.cli('replicaof', '127.0.0.1', String(other.port))
  port = other.port
  t.equal(await store.admit(randomBytes(16)), true, 'by a new connection')
  await untilWell(store)
  t.equal(await store.admit(randomBytes(16)), true)
})

/** A server with TLS, and the folder of its certificate. */
async function startTls (t: Test, args: readonly string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'polaris-redis-'))
  const authority = createAuthority('Operator')
  const { certPem, keyPem } = authority.issue(['localhost'])
  for (const [name, pem] of [['ca', authority.certPem], ['cert', certPem], ['key', keyPem]] as const) {
    writeFileSync(join(folder, `${name}.pem`), pem)
  }
  const port = await freePort()
  const redis = await startRedis(t, [
    '--tls-port', String(port), '--tls-cert-file', join(folder, 'cert.pem'), '--tls-key-file', join(folder, 'key.pem'),
    '--tls-auth-clients', 'no', ...args
  ])
  return { redis, port, ca: join(folder, 'ca.pem') }
}

t.test('over TLS a certificate that nobody vouches for is refused', { skip }, async t => {
  const { port } = await startTls(t)
  const { store } = open(t, `rediss://localhost:${port}`)
  while (store.problem() === 'connecting') await setTimeout(10)
  t.match(store.problem(), /SELF_SIGNED|UNABLE_TO_VERIFY/)
  await t.rejects(async () => store.admit(randomBytes(16)), ReplayStoreError)
})

t.test('over TLS a CA of the operator\'s own is accepted, with a user, a password of special characters and a ' +
  'database', { skip }, async t => {
  const { redis, port, ca } = await startTls(t)
  const password = 'p@ss:/?#[]!$&\'()*+,;=% ü'
  redis.cli('acl', 'setuser', 'proxy', 'on', `>${password}`, '~polaris:replay:*', '+set', '+get', '+info', '+select')
  const url = `rediss://proxy:${encodeURIComponent(password)}@localhost:${port}/3`
  const script = `
    import { connectRedis } from './lib/replay/redis.ts'
    const connection = connectRedis({ url: process.env.URL, onState: (...state) => console.log(state.join(' ')) })
    const store = connection.store({ prefix: 'polaris:replay:', remember: 60000, strict: true })
    while (store.problem() !== undefined) await new Promise(resolve => setTimeout(resolve, 10))
    const digest = Buffer.alloc(16, 1)
    console.log('answers', await store.admit(digest), await store.admit(digest))
    connection.close()`
  const child = run(t, ['--input-type=module', '--eval', script], { URL: url, NODE_EXTRA_CA_CERTS: ca })
  await child.line(/answers true false/)
  t.match(redis.cli('-n', '3', 'keys', '*'), 'polaris:replay:')
  t.equal(await child.exit, 0)
})

t.test('what is no URL of Redis is refused by name', async t => {
  for (const url of [
    'memory', 'http://x', 'redis://', 'redis://a,rediss://b', 'redis://a/x', 'redis-sentinel://a',
    'redis-sentinel://a/', 'redis://a,,redis://b'
  ]) {
    t.throws(() => parseTarget(url), TypeError, url)
    t.notOk(formats['replay-store'].test(url) && url !== 'memory', url)
  }
  for (const url of [
    'redis://a', 'rediss://u:p@[::1]:1/2', 'redis://a:1, redis://b:2', 'redis-sentinel://a/x,redis-sentinel://b/x',
    'rediss-sentinel://:p%2C@a:1/x'
  ]) {
    t.ok(parseTarget(url).nodes.length > 0, url)
    t.ok(formats['replay-store'].test(url), url)
  }
})
