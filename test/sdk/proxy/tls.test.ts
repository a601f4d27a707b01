/** polaris proxy over TLS with a proven key in place of OHTTP: requests, keys that change, and keys of others. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { send } from '../../fixtures/local-proxy.ts'
import { localFor, policyOf, startAttacker, startRoute, startTlsProxy } from '../../fixtures/local-tls.ts'
import { polaris } from '../../fixtures/polaris-cli.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)

t.test('requests pass as they are, with prefix, added headers and bodies, and without OHTTP', async t => {
  const workload = await startWorkload(t, (request, response) => {
    if (request.url === '/twice') return response.writeHead(200, { 'X-Twice': ['1', '2'] }).end()
    request.resume()
    request.on('end', () => response.end(`${request.method} ${request.url} ${request.headers['x-token'] ?? ''}`))
  })
  const { port } = await startTlsProxy(t, workload.url, { contextRoot: '/root', enableOhttp: false })
  const local = await localFor(t, port, ['-H', 'x-token: secret'], '/root')
  t.match(local.stderr(), /keys sha256:[\da-f]{64}, X25519 with ML-KEM-768/)
  const answer = await send(`${local.url}/a?b=c`, { method: 'PUT', body: 'x'.repeat(100_000) })
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'PUT /a?b=c secret')
  t.equal(answer.headers['polaris-verified'], 'no')
  t.match(await send(`${local.url}/twice`), { headers: { 'x-twice': '1, 2' } })
  t.equal((await send(`${local.url}/`, { method: 'HEAD' })).status, 200)
  t.match(JSON.parse((await send(`${local.url}/x`, { method: 'OPTIONS', path: '*' })).body.toString()), {
    type: /unsupported$/
  })
  const verdict = JSON.parse((await send(`${local.url}/.polaris/verdict`)).body.toString()) as object
  t.match(verdict, { verified: false, tee: 'simulated', postQuantum: true, checks: [{ name: String }] })
})

t.test('an upload arrives piece by piece, and so do server-sent events', async t => {
  const workload = await startWorkload(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    request.on('data', (piece: Buffer) => response.write(`data: ${piece.toString()}\n\n`))
    request.on('end', () => response.end())
  })
  const local = await localFor(t, (await startTlsProxy(t, workload.url)).port)
  const upload = httpRequest(`${local.url}/`, { method: 'POST', agent: false })
  upload.write('first')
  const [answer] = await once(upload, 'response') as [IncomingMessage]
  t.equal(String((await once(answer, 'data'))[0]), 'data: first\n\n')
  upload.end('second')
  // Both may come at once.
  const ended = once(answer, 'end')
  t.equal(String((await once(answer, 'data'))[0]), 'data: second\n\n')
  await ended
})

t.test('another replica is proven before it gets a byte, and a key that nothing proves is named', async t => {
  const workload = await startWorkload(t)
  const first = await startTlsProxy(t, workload.url)
  const second = await startTlsProxy(t, workload.url)
  const attacker = await startAttacker(t, first.port)
  const route = await startRoute(t, first.port)
  const local = await localFor(t, route.port, ['--max-age', '1'])
  t.equal((await send(`${local.url}/one`)).status, 200)
  route.target = second.port
  await setTimeout(1200)
  t.equal((await send(`${local.url}/two`)).status, 200)
  route.target = attacker.port
  await setTimeout(1200)
  const refused = await send(`${local.url}/three`, { method: 'POST', body: 'secret' })
  t.equal(refused.status, 502)
  const problem = JSON.parse(refused.body.toString()) as { type: string, detail: string }
  t.match(problem.type, /cannot-verify$/)
  t.match(problem.detail, /The TLS key of 127\.0\.0\.1:\d+ is sha256\/\/[\w+/]{43}=, which the evidence does not cover/)
  t.notMatch(attacker.seen, /secret|three/)
  t.match(attacker.seen, /^GET \/polaris-container\/attestation/)
  t.equal((await send(`${local.url}/.polaris/readyz`)).status, 503)
  t.same(workload.received.map(({ url }) => url), ['/one', '/two'])
  route.target = first.port
  while ((await send(`${local.url}/.polaris/readyz`)).status !== 200) await setTimeout(100)
  t.equal((await send(`${local.url}/four`)).status, 200)
})

t.test('it does not listen where no key can be proven, and says why', async t => {
  const workload = await startWorkload(t)
  const { proxy, port } = await startTlsProxy(t, workload.url)
  const attacker = await startAttacker(t, port)
  const policy = ['--policy', policyOf(t)]
  const url = `https://127.0.0.1:${port}`
  for (const [args, environment, status, message] of [
    [[proxy.url, ...policy], {}, 2, /base URL is not that of a TLS port/],
    [[url, '--insecure'], {}, 2, /--insecure, nothing proves/],
    [[url, ...policy], { HTTPS_PROXY: 'http://127.0.0.1:9' }, 2, /HTTPS_PROXY is in force.*NO_PROXY/],
    [[`https://127.0.0.1:${attacker.port}`, ...policy], {}, 2, /which the evidence does not cover/],
    [['https://127.0.0.1:1', ...policy], {}, 2, /cannot be reached: .*ECONNREFUSED/]
  ] as const) {
    const result = await polaris(['proxy', ...args, '--transport', 'tls', '--listen', '127.0.0.1:0'], environment)
    t.equal(result.status, status, args.join(' '))
    t.match(result.stderr, message)
    t.notMatch(result.stderr, /listening/)
  }
})

t.test('post-quantum key agreement can be required, and be done without', async t => {
  const { port } = await startTlsProxy(t, (await startWorkload(t)).url)
  for (const [when, said] of [['require', /X25519 with ML-KEM-768/], ['never', /not post-quantum/]] as const) {
    const local = await localFor(t, port, ['--post-quantum', when])
    t.match(local.stderr(), said)
    t.equal((await send(`${local.url}/`)).status, 200)
  }
})
