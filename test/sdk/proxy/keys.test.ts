// polaris proxy sends nothing to keys that are not proven: at the start, when they change, and when a proof gets too
// old.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { Attester } from '../../../lib/attestation/attester.ts'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { startBalancer } from '../../fixtures/balancer.ts'
import { runLocalProxy, send } from '../../fixtures/local-proxy.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import type { Proxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)
const workload = await startWorkload(t)
const trusted = await simulated()
const untrusted = await simulated()
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
const folder = t.testdir({
  'policy.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [trusted.root] } } })
})
const policy = join(folder, 'policy.json')
const local = 'urn:polaris-secure-proxy:local-proxy:'

/** Proxies behind one address, the first of which answers. Each has keys of its own. */
async function startReplicas (t: Test, ...attesters: Attester[]) {
  const proxies: Proxy[] = []
  for (const attester of attesters) proxies.push(await startProxy(t, config, { attester }))
  const current = [proxies[0]!]
  return { url: await startBalancer(t, current), use: (index: number) => { current[0] = proxies[index]! } }
}

async function untilReady (url: string, status: number): Promise<Record<string, unknown>> {
  for (;;) {
    const answer = await send(`${url}/.polaris/readyz`)
    const said = JSON.parse(answer.body.toString()) as { failure?: Record<string, unknown> }
    // At first, when a proof is too old, the next one is still under way.
    if (answer.status === status && (status === 200 || said.failure !== undefined)) return said.failure ?? {}
    await sleep(50)
  }
}

t.test('it says what it verified, check by check, before it listens', async t => {
  const { url } = await startReplicas(t, trusted)
  const proxy = await runLocalProxy(t, [url, '--policy', policy])
  t.match(
    proxy.stderr(),
    /warning: the policy accepts simulated evidence[^]*✓ nonce [^]*✓ root [^]*\nverified: simulated\npolaris: keys sha256:[\da-f]{64}, X25519[^]*\npolaris: listening on http:\/\/127\.0\.0\.1:\d+, for http:[^]*curl http:\/\/127[^]*OPENAI_BASE_URL=http:\/\/127\.0\.0\.1:\d+\/v1\n/
  )
})

t.test('GET /.polaris/verdict, livez and readyz', async t => {
  const { url } = await startReplicas(t, trusted)
  const proxy = await runLocalProxy(t, [url, '--policy', policy])
  const verdict = await send(`${proxy.url}/.polaris/verdict`)
  t.match(verdict, {
    status: 200, headers: { 'cache-control': 'no-store', 'content-type': 'application/json', 'polaris-verified': 'no' }
  })
  const found = JSON.parse(verdict.body.toString()) as {
    keys: string, checks: { name: string, outcome: string }[], since: string, until: string
  }
  t.match(found, {
    proxy: url,
    verified: false,
    tee: 'simulated',
    policy: `sha256:${createHash('sha256').update(readFileSync(policy)).digest('hex')}`,
    keys: /^sha256:[\da-f]{64}$/,
    checks: [{ name: 'nonce', outcome: 'passed' }]
  })
  t.equal(Date.parse(found.until) - Date.parse(found.since), 600_000, 'ten minutes')
  for (const name of ['livez', 'readyz']) {
    t.match(await send(`${proxy.url}/.polaris/${name}`), { status: 200, headers: { 'cache-control': 'no-store' } })
    t.equal((await send(`${proxy.url}/.polaris/${name}`, { method: 'HEAD' })).body.length, 0)
  }
  t.equal((await send(`${proxy.url}/.polaris/livez`, { method: 'POST' })).status, 405)
  for (const path of ['/.polaris', '/.polaris/', '/.polaris/x', '/.polaris?x']) {
    t.equal((await send(proxy.url + path)).status, 404, path)
  }
})

t.test('new keys of the proxy are proven before they are used, and a small request is sent again to them', async t => {
  const replicas = await startReplicas(t, trusted, trusted)
  const proxy = await runLocalProxy(t, [replicas.url, '--policy', policy])
  for (const [method, body] of [['GET', ''], ['POST', 'a body'], ['PUT', 'x'.repeat(200_000)]] as const) {
    replicas.use(1)
    t.equal((await send(proxy.url, { method, body })).status, 200, method)
    replicas.use(0)
    t.equal((await send(
      proxy.url, { method, headers: { expect: '100-continue', 'content-length': body.length }, body }
    )).status, 200, method)
  }
  t.match(proxy.stderr(), /info keys proven tee=simulated keys=sha256:/)
})

t.test('a large upload that meets new keys is not sent again: the client is told to', async t => {
  const replicas = await startReplicas(t, trusted, trusted)
  const proxy = await runLocalProxy(t, [replicas.url, '--policy', policy])
  await send(proxy.url)
  replicas.use(1)
  const request = httpRequest(proxy.url, { method: 'POST', agent: false })
  request.write('x')
  const [response] = await once(request, 'response') as [IncomingMessage]
  request.on('error', error => t.match(error, { code: /EPIPE|ECONNRESET/ })).end()
  t.equal(response.statusCode, 502)
  let body = ''
  for await (const piece of response) body += String(piece)
  t.match(JSON.parse(body), { type: `${local}key-refused`, detail: /send it again/ })
  t.equal((await send(proxy.url)).status, 200)
})

t.test('keys that are not proven are never used: 502 with the failed checks, nothing is sent, and it recovers by ' +
  'itself', async t => {
  let attester: Attester = trusted
  const proxied = await startProxy(
    t, config, { attester: { ...trusted, evidence: binding => attester.evidence(binding) } }
  )
  const proxy = await runLocalProxy(t, [proxied.url, '--policy', policy, '--max-age', '1'])
  t.equal((await send(proxy.url)).status, 200)

  attester = untrusted
  t.match(await untilReady(proxy.url, 503), { status: 502, type: `${local}not-verified`, checks: [{ name: 'root' }] })
  const before = workload.received.length
  const refused = await send(proxy.url, { method: 'POST', body: 'secret' })
  t.match(
    refused, { status: 502, headers: { 'content-type': 'application/problem+json', 'cache-control': 'no-store' } }
  )
  t.match(JSON.parse(refused.body.toString()), {
    type: `${local}not-verified`,
    status: 502,
    detail: /^Nothing was sent. Failed checks: root$/,
    checks: [{ name: 'root', detail: /which the policy does not accept/ }]
  })
  t.equal(workload.received.length, before)
  t.match(
    JSON.parse((await send(`${proxy.url}/.polaris/verdict`)).body.toString()),
    { verified: false, failure: { checks: [{ name: 'root' }] } }
  )
  t.equal((await send(`${proxy.url}/.polaris/livez`)).status, 200)

  attester = trusted
  await untilReady(proxy.url, 200)
  t.equal((await send(proxy.url)).status, 200)
  t.match(proxy.stderr(), /error keys not proven; nothing is sent failed=root\n/)
  t.equal(proxy.stderr().match(/keys not proven/g)?.length, 1, 'one line, not one for each attempt')
})

t.test('a proxy with new keys that it does not prove gets nothing, though it knows how to open requests', async t => {
  const replicas = await startReplicas(t, trusted, untrusted)
  const proxy = await runLocalProxy(t, [replicas.url, '--policy', policy])
  replicas.use(1)
  const before = workload.received.length
  t.match(await send(proxy.url), { status: 502, body: /not-verified/ })
  t.match(await send(proxy.url), { status: 502, body: /not-verified/ })
  t.equal(workload.received.length, before)
  replicas.use(0)
  await untilReady(proxy.url, 200)
})

t.test('a proxy that is away: 502, and again answers when it is back', async t => {
  const first = await startProxy(t, config, { attester: trusted })
  const proxy = await runLocalProxy(t, [first.url, '--policy', policy, '--max-age', '1'])
  await first.close()
  const answer = await send(proxy.url)
  t.equal(answer.status, 502)
  t.match(
    JSON.parse(answer.body.toString()), { type: /^urn:polaris-secure-proxy:local-proxy:(?:unreachable|cannot-verify)$/ }
  )
  t.match(await untilReady(proxy.url, 503), { type: `${local}cannot-verify`, detail: /^Nothing was sent. / })
})

t.test('--insecure asks for no proof; --development accepts any: each says so at the start and in every ' +
  'answer', async t => {
  const { url } = await startReplicas(t, untrusted)
  for (const [option, warning, tee] of [
    ['--insecure', /warning: insecure: the proxy does not prove its keys/, 'not asked'],
    ['--development', /warning: no policy was given/, 'simulated']
  ] as const) {
    const proxy = await runLocalProxy(t, [url, option])
    t.match(proxy.stderr(), warning)
    for (const [path, host] of [['/', undefined], ['/.polaris/livez', undefined], ['/', 'other.example']] as const) {
      const { headers } = await send(proxy.url + path, { headers: host === undefined ? {} : { host } })
      t.equal(headers['polaris-verified'], 'no', `${option} ${path}`)
    }
    t.match(JSON.parse((await send(`${proxy.url}/.polaris/verdict`)).body.toString()), { verified: false, tee })
  }
})

t.test('exit statuses are those of verify, and nothing is listened on', async t => {
  const { url } = await startReplicas(t, untrusted)
  const cases: [args: string[], status: number, stderr: RegExp][] = [
    [[url, '--policy', policy], 1, /✗ root[^]*refused: simulated/],
    [[workload.url, '--policy', policy], 2, /^polaris: warning[^]*polaris: Not an attestation document/],
    [['http://127.0.0.1:9', '--insecure'], 2, /polaris: No keys/],
    [[url], 2, /--policy .*--insecure/],
    [[url, '--policy', policy, '--insecure'], 2, /exclude each other/],
    [[url, '--policy', join(folder, 'missing.json')], 2, /cannot read the policy/],
    [[url.replace('//', '//user:secret@'), '--insecure'], 2, /neither credentials nor a query/],
    [[url, '--insecure', '--post-quantum', 'require'], 2, /no post-quantum key/]
  ]
  for (const [args, status, stderr] of cases) {
    const result = await polaris(['proxy', ...args])
    t.match(result, { status, stdout: '', stderr }, args.join(' '))
    t.notMatch(result.stderr, /listening|secret/)
  }
})
