/**
 * Limits that three replicas share in a Redis as people have it: a cluster, and a user who may do no more than
 * docs/limits.md and docs/operations.md say.
 */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { createSharedLimiter } from '../../../lib/limits/shared.ts'
import { connectRedis } from '../../../lib/replay/redis.ts'
import { read } from '../../fixtures/documents.ts'
import { noRedis, startRedis } from '../../fixtures/redis.ts'
import type { RedisServer } from '../../fixtures/redis.ts'
import { soon, startCluster } from '../../fixtures/redis-servers.ts'

const skip = noRedis
const limits = { requestRate: 1, burst: 6, bytesPerMinute: 60_000, concurrency: 0 }

/** The rules of ACL SETUSER that a document names, in all of its code spans that begin with one. */
function rulesIn (document: string, about: RegExp): string[] {
  const text = read(document)
  const [paragraph = ''] = about.exec(text) ?? []
  return [...paragraph.matchAll(/`([+~][^`]+)`/g)].flatMap(([, rules = '']) => rules.split(/\s+/))
}

const replayRules = rulesIn('docs/operations.md', /- \*\*Permissions\.\*\*[^]*?\n- /)
const limitRules = rulesIn('docs/limits.md', /A user of the\s+server needs[^]*?\n\n/)

function allow (servers: readonly RedisServer[], rules: readonly string[]): void {
  for (const server of servers) {
    const said = server.cli('acl', 'setuser', 'proxy', 'on', '>p@ss', 'resetkeys', ...rules)
    if (said.trim() !== 'OK') throw new Error(said)
  }
}

/** As many replicas as there are, on these servers. */
async function connect (t: Test, servers: readonly RedisServer[], count = 3) {
  const url = servers.map(({ url }) => url.replace('//', '//proxy:p%40ss@')).join()
  return Promise.all(Array.from({ length: count }, async () => {
    const states: string[] = []
    const connection = connectRedis({ url, onState: (state, reason) => states.push([state, reason].join(' ').trim()) })
    t.teardown(() => connection.close())
    const store = connection.store({ prefix: 'polaris:replay:', remember: 60_000, strict: true })
    await soon(() => store.problem() === undefined, 'ready')
    return { limiter: createSharedLimiter(connection, limits), states, store }
  }))
}

const deployments = {
  'one server': (t: Test) => startRedis(t).then(server => [server]), 'a cluster': (t: Test) => startCluster(t)
}
for (const [name, start] of Object.entries(deployments)) {
  t.test(`${name}: replicas count together, with the permissions that the documents name`, { skip }, async t => {
    t.ok(replayRules.length > 3 && limitRules.length > 6)
    const servers = await start(t)
    allow(servers, [...replayRules, ...limitRules])
    const replicas = await connect(t, servers)
    // So many that every node of a cluster has some.
    for (let client = 0; client < 30; client++) {
      const began = performance.now()
      let served = 0
      for (let i = 0; i < 15; i++) {
        if ((await replicas[i % 3]!.limiter.take(`client ${client}`)).allowed) served++
      }
      const most = 6 + Math.ceil((performance.now() - began) / 1000)
      t.ok(served >= 6 && served <= most, `${served} of at most ${most}`)
    }
    const [first, second, third] = replicas.map(({ limiter }) => limiter)
    t.ok((await first!.take('heavy')).allowed)
    first!.end('heavy', 200_000)
    while ((await second!.take('heavy')).allowed) await setTimeout(20)
    const { retryAfter } = await third!.take('heavy')
    t.ok(retryAfter > 60, 'bytes count, too')
    for (const { states } of replicas) t.strictSame(states, ['connected'], 'nothing was refused')
    for (const server of servers) {
      t.notMatch(server.cli('keys', '*'), /client|heavy/)
      t.notMatch(server.cli('keys', '*'), /^(?!polaris:(?:limits|replay):).+$/m, 'no other keys')
    }
  })
}

t.test('without any one of these permissions something is refused: none is too much', { skip }, async t => {
  const server = await startRedis(t)
  allow([server], ['+set', '+info', '~polaris:replay:*', ...limitRules])
  const [replica] = await connect(t, [server], 1)
  const { limiter } = replica!
  t.ok((await limiter.take('a')).allowed)
  for (const rule of limitRules.filter(rule => rule.startsWith('+') && !['+get', '+set'].includes(rule))) {
    server.cli('acl', 'setuser', 'proxy', rule.replace('+', '-'))
    const before = server.cli('acl', 'log', 'reset')
    t.ok(before)
    const refused = await Promise.resolve(limiter.take('a')).then(() => false, () => true)
    limiter.end('a', 1000)
    await soon(() => refused || server.cli('acl', 'log').includes('command'), `${rule} is missed`)
    server.cli('acl', 'setuser', 'proxy', rule)
  }
  t.ok((await limiter.take('a')).allowed)
})

t.test('100,000 clients are forgotten again: each account of Redis ends by itself', { skip }, async t => {
  const server = await startRedis(t)
  allow([server], [...replayRules, ...limitRules])
  const [replica] = await connect(t, [server], 1)
  const { limiter } = replica!
  for (let i = 0; i < 100_000; i += 1000) {
    await Promise.all(Array.from({ length: 1000 }, (_, j) => limiter.take(`client ${i + j}`)))
  }
  const bytes = Number(/used_memory:(\d+)/.exec(server.cli('info', 'memory'))?.[1])
  t.ok(bytes < 50e6, `${bytes} bytes`)
  // A second for the request, and another one for good measure.
  await soon(() => Number(server.cli('dbsize')) < 10, 'forgotten')
})
