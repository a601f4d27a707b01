/**
 * Traces: the trace context inside of the encryption reaches the workload, and the outer one only if the operator asks;
 * and spans leave by OTLP, without anything that was decrypted. peer-test/opentelemetry.test.ts reads them with the
 * official definitions.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../lib/config/config.ts'
import { encapsulate, fetchKey, requestHead } from '../fixtures/ohttp-client.ts'
import { freePort, run, START, untilReady } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

const OUTER = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const INNER = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-00`

type Headers = Readonly<Record<string, string>>

async function setUp (t: Test, config: ConfigInput = {}) {
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
  const ohttp = (chunked: boolean) => async (outer: Headers, inner: Headers) => {
    const request = await encapsulate(
      await fetchKey(proxy.url), requestHead('POST', '/x', Object.entries(inner)), Buffer.from('x'), { chunked }
    )
    const response = await fetch(
      `${proxy.url}/.well-known/ohttp-gateway`,
      { method: 'POST', headers: { ...outer, 'content-type': request.contentType }, body: request.message }
    )
    await request.open(response)
  }
  const v1 = async (outer: Headers, inner: Headers) => {
    const client = await v1Client(proxy.url)
    const { headers, body } = await client.request({ target: '/x', headers: inner, body: 'x' })
    await client.open(await fetch(proxy.url, { method: 'POST', headers: { ...headers, ...outer }, body }))
  }
  const arrived = () => {
    const { traceparent, tracestate } = workload.received.pop()?.headers ?? {}
    return [traceparent, tracestate]
  }
  return { proxy, ohttp, v1, arrived }
}

for (const [setting, outerOnly] of [[false, [undefined, undefined]], [true, [OUTER, 'network=1']]] as const) {
  const other = setting ? ', and that of the network if there is no other' : ', never that of the network'
  t.test(`the workload sees the trace of the client${other}`, async t => {
    const plain = await setUp(t, { forwardOuterTrace: setting })
    const encrypted = await setUp(
      t, { forwardOuterTrace: setting, enableInputEncryption: true, enableOutputEncryption: true }
    )
    for (const [name, send, arrived] of [
      ['ohttp', plain.ohttp(false), plain.arrived], ['ohttp-chunked', plain.ohttp(true), plain.arrived],
      ['polaris-v1', encrypted.v1, encrypted.arrived]
    ] as const) {
      await send({ traceparent: OUTER, tracestate: 'network=1' }, { traceparent: INNER, tracestate: 'client=1' })
      t.strictSame(arrived(), [INNER, 'client=1'], `${name}: the client's`)
      await send({ traceparent: OUTER, tracestate: 'network=1' }, { traceparent: INNER })
      t.strictSame(arrived(), [INNER, undefined], `${name}: they are not mixed`)
      await send({ traceparent: OUTER, tracestate: 'network=1' }, {})
      t.strictSame(arrived(), outerOnly, `${name}: the network's`)
      for (const bad of [
        '00-x', OUTER.toUpperCase(), `${OUTER}-00`, OUTER.replace(/^00/, 'ff'),
        `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`, `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`
      ]) {
        await send({ traceparent: bad, tracestate: 'network=1' }, {})
        t.strictSame(arrived(), [undefined, undefined], `${name}: ${bad}`)
      }
    }
    await fetch(`${plain.proxy.url}/x`, { headers: { traceparent: OUTER } })
    t.strictSame(plain.arrived(), [OUTER, undefined], 'an unencrypted request has its own')
  })
}

async function startCollector (t: Test, status = 200) {
  const received: { path: string, type: string, body: Buffer }[] = []
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray() as Buffer[])
    received.push({ path: request.url ?? '', type: request.headers['content-type'] ?? '', body })
    response.writeHead(status).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received }
}

t.test('spans are sent to the collector, the last ones when the proxy stops, and nothing of the exchange is in ' +
  'them', async t => {
  const collector = await startCollector(t)
  const { proxy, ohttp } = await setUp(t, { otlpEndpoint: `${collector.url}/base/` })
  await ohttp(true)({ traceparent: OUTER }, { traceparent: INNER, 'x-secret': 'secret-value' })
  await ohttp(false)({}, { authorization: 'Bearer secret-value' })
  await setTimeout(100)
  await proxy.close()
  t.ok(collector.received.length >= 1)
  const all = Buffer.concat(collector.received.map(({ body }) => body)).toString('latin1')
  for (const { path, type } of collector.received) {
    t.strictSame([path, type], ['/base/v1/traces', 'application/x-protobuf'])
  }
  for (const text of [
    'polaris-secure-proxy', 'polaris.protocol', 'ohttp-chunked', 'polaris.status_class', '2xx', 'exchange', 'open',
    'workload', 'seal'
  ]) {
    t.ok(all.includes(text), text)
  }
  const hidden = [
    'secret', '127.0.0.1', 'localhost', '/x', 'workload.example', 'POST', OUTER.slice(3, 35), INNER.slice(3, 35)
  ]
  for (const text of hidden) {
    t.notOk(all.includes(text), text)
    if (/^[a-d]+$/.test(text)) t.notOk(all.includes(Buffer.from(text, 'hex').toString('latin1')), 'nor as bytes')
  }
})

t.test('a collector that is down, or refuses, does no harm', async t => {
  const refusing = await startCollector(t, 400)
  for (const otlpEndpoint of [`http://127.0.0.1:${await freePort()}`, refusing.url]) {
    const { proxy, ohttp, arrived } = await setUp(t, { otlpEndpoint })
    await ohttp(true)({}, { traceparent: INNER })
    t.strictSame(arrived(), [INNER, undefined])
    await proxy.close()
  }
})

t.test('OpenTelemetry and prom-client are loaded only if they are used', async t => {
  const hook = `${t.testdir()}/hook.mjs`
  writeFileSync(hook, `import { registerHooks } from 'node:module'
registerHooks({ load (url, context, next) {
  const [, name] = /node_modules\\/(@opentelemetry\\/[\\w-]+|prom-client)\\//.exec(url) ?? []
  if (name !== undefined) console.log('loads ' + name)
  return next(url, context)
} })
`)
  const workload = await startWorkload(t)
  for (const [env, expected] of [
    [{}, []], [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' }, ['@opentelemetry/sdk-trace']],
    [{ POLARIS_CONTAINER_ADMIN_ADDRESS: '127.0.0.1:0' }, ['prom-client']]
  ] as const) {
    const server = run(
      t, ['--import', `file://${hook}`, ...START],
      { PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, ...env }
    )
    const [, url = ''] = /(http:\/\/[\d.:]+)/.exec(await server.line(/Server listening/)) ?? []
    await untilReady(url)
    const loaded = new Set(server.lines.flatMap(line => /^loads (.*)/.exec(line)?.[1] ?? []))
    for (const name of expected) t.ok(loaded.has(name), name)
    if (expected.length === 0) t.strictSame([...loaded], [])
    server.child.kill('SIGKILL')
    await server.exit
  }
})
