/**
 * What the page of metrics says of traffic: with each protocol, a foreign one included, and of each share of a request.
 */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { ProtocolDefinition } from '../../lib/exchanges/protocol.ts'
import type { ConfigInput } from '../../lib/config/config.ts'
import { Problem } from '../../lib/http/problems.ts'
import { encapsulate, fetchKey, requestHead, send as sendEncapsulated } from '../fixtures/ohttp-client.ts'
import { adminOf, parsePage } from '../fixtures/metrics.ts'
import type { AdminClient } from '../fixtures/metrics.ts'
import { freePort } from '../fixtures/process.ts'
import { fixedKey, startProxy } from '../fixtures/proxy.ts'
import { rsaKey } from '../fixtures/rsa.ts'
import { v1Client } from '../fixtures/v1-client.ts'
import { startWorkload } from '../fixtures/workload.ts'

declare module '../../lib/exchanges/names.ts' {
  interface ProtocolNames {
    abroad: true
  }
}

/** A protocol from outside, whose requests are plain ones with a header. */
const abroad: ProtocolDefinition = {
  create: () => [{
    name: 'abroad',
    recognises: ({ headers }) => headers['x-abroad'] !== undefined,
    open ({ headers }) {
      if (headers['x-abroad'] === 'no') throw new Problem('cannot-open')
      return { protocol: 'abroad', method: 'GET', target: '/', headers: [], body: undefined, bodyLength: undefined }
    }
  }]
}

async function setUp (
  t: Test, config: ConfigInput = {}, listener?: Parameters<typeof startWorkload>[1],
  options?: Parameters<typeof startProxy>[2]
) {
  const workload = await startWorkload(t, listener)
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, adminAddress: '127.0.0.1:0', ...config }, { protocols: [abroad], ...options }
  )
  return { workload, proxy, admin: adminOf(proxy.log) }
}

/** An answer may be read before the server knows that it has left. */
async function settled ({ value }: AdminClient, requests: number): Promise<void> {
  while ((await value('polaris_requests_total') ?? 0) < requests) await setTimeout(10)
}

async function sendOhttp (url: string, chunked: boolean, body: Uint8Array = Buffer.from('inside')) {
  const request = await encapsulate(await fetchKey(url), requestHead('POST', '/inside'), body, { chunked })
  const response = await sendEncapsulated(`${url}/.well-known/ohttp-gateway`, request)
  return { request, inner: await request.open(response) }
}

t.test('each protocol has its numbers', async t => {
  const { proxy, admin } = await setUp(t)
  await sendOhttp(proxy.url, false)
  await sendOhttp(proxy.url, true)
  await (await fetch(`${proxy.url}/plain`)).text()
  await (await fetch(proxy.url, { headers: { 'x-abroad': 'yes' } })).text()
  t.equal((await fetch(proxy.url, { headers: { 'x-abroad': 'no' } })).status, 400)
  // Two for the keys.
  await settled(admin, 7)

  for (const [protocol, status, count] of [
    ['ohttp', '2xx', 1], ['ohttp-chunked', '2xx', 1], ['plain', '2xx', 1], ['abroad', '2xx', 1], ['abroad', '4xx', 1],
    ['none', '2xx', 2]
  ] as const) {
    t.equal(await admin.value('polaris_requests_total', { protocol, status }), count, `${protocol} ${status}`)
  }
  t.equal(await admin.value('polaris_refusals_total', { protocol: 'abroad', problem: 'cannot-open' }), 1)
  t.equal(await admin.value('polaris_requests_in_flight'), 0)
  t.equal(await admin.value('polaris_requests_cut_off_total'), 0)
  t.equal(await admin.value('polaris_decapsulations_total', { protocol: 'ohttp', outcome: 'done' }), 2, 'both forms')
  t.equal(await admin.value('polaris_replay_checks_total', { store: 'requests', outcome: 'new' }), 2)
  t.equal(await admin.value('polaris_replay_store_entries', { store: 'requests' }), 2)
  for (const protocol of ['ohttp', 'ohttp-chunked', 'plain', 'abroad']) {
    for (const name of ['duration', 'time_to_first_byte', 'proxy', 'workload', 'opening']) {
      const metric = {
        duration: 'polaris_request_duration_seconds', time_to_first_byte: 'polaris_time_to_first_byte_seconds'
      }[name] ?? `polaris_${name}_duration_seconds`
      t.ok(await admin.value(`${metric}_count`, { protocol }), `${metric} ${protocol}`)
    }
  }
  for (const protocol of ['ohttp', 'ohttp-chunked']) {
    t.equal(await admin.value('polaris_sealing_duration_seconds_count', { protocol }), 1)
  }
})

t.test('Polaris v1 has its private-key operations, and its messages are remembered', async t => {
  const { proxy, admin } = await setUp(t, { enableInputEncryption: true, enableOutputEncryption: true })
  const client = await v1Client(proxy.url)
  const { headers, body } = await client.request({ target: '/inside', body: 'inside' })
  const send = () => fetch(proxy.url, { method: 'POST', headers, body })
  await client.open(await send())
  t.equal((await send()).status, 400)
  await settled(admin, 3)
  t.equal(await admin.value('polaris_requests_total', { protocol: 'polaris-v1', status: '2xx' }), 1)
  t.equal(await admin.value('polaris_refusals_total', { protocol: 'polaris-v1', problem: 'cannot-open' }), 1)
  t.ok(
    (await admin.value('polaris_private_key_operations_total', { protocol: 'polaris-v1', outcome: 'done' }) ?? 0) >= 6
  )
  t.equal(await admin.value('polaris_private_key_operations_waiting', { protocol: 'polaris-v1' }), 0)
  t.equal(await admin.value('polaris_replay_checks_total', { store: 'v1-messages', outcome: 'seen' }), 1)
})

t.test('a replay is counted', async t => {
  const { proxy, admin } = await setUp(t)
  const { request } = await sendOhttp(proxy.url, true)
  const again = await sendEncapsulated(`${proxy.url}/.well-known/ohttp-gateway`, request)
  t.equal(again.status, 400)
  await settled(admin, 3)
  t.equal(await admin.value('polaris_replay_checks_total', { outcome: 'seen' }), 1)
  t.equal(await admin.value('polaris_refusals_total', { protocol: 'ohttp-chunked', problem: 'cannot-open' }), 1)
})

t.test('the time of the workload is not the proxy\'s, whether it waits with its head or with its content', async t => {
  const { proxy, admin } = await setUp(t, {}, async (request, response) => {
    request.resume()
    await setTimeout(150)
    response.flushHeaders()
    await setTimeout(150)
    response.end('late')
  })
  await sendOhttp(proxy.url, false)
  await sendOhttp(proxy.url, true)
  await settled(admin, 4)
  const sum = (metric: string, protocol: string) => admin.value(`polaris_${metric}_sum`, { protocol })
  // Only what leaves as a whole waits for the content.
  t.ok((await sum('workload_duration_seconds', 'ohttp') ?? 0) > 0.29)
  const streamed = await sum('workload_duration_seconds', 'ohttp-chunked') ?? 0
  t.ok(streamed > 0.14)
  for (const protocol of ['ohttp', 'ohttp-chunked']) {
    const total = await sum('time_to_first_byte_seconds', protocol) ?? NaN
    const shares = (await sum('workload_duration_seconds', protocol) ?? NaN) +
      (await sum('proxy_duration_seconds', protocol) ?? NaN)
    t.ok(shares <= total + 0.001, 'the shares are parts of the whole')
    t.ok(total - shares < 0.1, 'and all of it')
  }
})

t.test('a client that takes its time is nobody\'s share', async t => {
  const { proxy, admin } = await setUp(t)
  const request = await encapsulate(
    await fetchKey(proxy.url), requestHead('POST', '/inside'), Buffer.alloc(1000), { chunked: false }
  )
  const sent = httpRequest(
    `${proxy.url}/.well-known/ohttp-gateway`,
    { method: 'POST', headers: { 'content-type': request.contentType, 'content-length': request.message.length } }
  )
  sent.write(request.message.subarray(0, 500))
  await setTimeout(1000)
  sent.end(request.message.subarray(500))
  const [response] = await once(sent, 'response') as [IncomingMessage]
  await response.resume().toArray()
  await settled(admin, 2)
  const sum = async (metric: string) => await admin.value(`polaris_${metric}_sum`, { protocol: 'ohttp' }) ?? NaN
  const all = await sum('time_to_first_byte_seconds')
  t.ok(all >= 0.99)
  // The rest is what a slow machine may take.
  t.ok(all - await sum('proxy_duration_seconds') - await sum('workload_duration_seconds') >= 0.8)
  t.ok(all - await sum('opening_duration_seconds') >= 0.8)
})

t.test('gaps between the pieces of a stream are counted, and a stream that breaks off', async t => {
  const { proxy, admin } = await setUp(t, {}, async (request, response) => {
    request.resume()
    response.setHeader('content-type', 'text/event-stream')
    for (let i = 0; i < 3; i++) {
      response.write(`data: ${i}\n\n`)
      await setTimeout(60)
    }
    if (request.url === '/broken') response.destroy()
    else response.end()
  })
  await (await fetch(`${proxy.url}/`)).text()
  await sendOhttp(proxy.url, true)
  await t.rejects((await fetch(`${proxy.url}/broken`)).text())
  await settled(admin, 4)
  t.equal(await admin.value('polaris_requests_cut_off_total', { protocol: 'plain' }), 1)
  t.equal(await admin.value('polaris_workload_errors_total', { kind: 'reset' }), 1)
  for (const protocol of ['plain', 'ohttp-chunked']) {
    const count = (le: string) => admin.value('polaris_stream_gap_seconds_bucket', { protocol, le })
    t.ok((await count('+Inf') ?? 0) - (await count('0.025') ?? 0) >= 2, protocol)
  }
})

t.test('bytes are those of the wire, heads included, on a connection that is kept', async t => {
  const { proxy, admin } = await setUp(t)
  const length = 100_000
  for (let i = 0; i < 3; i++) {
    await (await fetch(`${proxy.url}/`, { method: 'POST', body: Buffer.alloc(length) })).text()
  }
  await settled(admin, 3)
  const received = await admin.value('polaris_received_bytes_total', { protocol: 'plain' }) ?? 0
  t.ok(received > 3 * length && received < 3 * length + 3000, String(received))
  // The workload echoes in base64.
  const sent = await admin.value('polaris_sent_bytes_total', { protocol: 'plain' }) ?? 0
  t.ok(sent > 4 * length && sent < 4 * length + 9000, String(sent))
})

t.test('what goes wrong between here and the workload has a kind', async t => {
  const proxy = await startProxy(
    t, { workloadBaseUrl: `http://127.0.0.1:${await freePort()}`, adminAddress: '127.0.0.1:0' }
  )
  const admin = adminOf(proxy.log)
  t.equal((await fetch(proxy.url)).status, 502)
  await settled(admin, 1)
  t.equal(await admin.value('polaris_workload_errors_total', { kind: 'refused' }), 1)
  t.equal(await admin.value('polaris_refusals_total', { protocol: 'plain', problem: 'upstream-unreachable' }), 1)

  const {
    proxy: slow, admin: ofSlow
  } = await setUp(t, { workloadHeadersTimeout: '50ms' }, request => { request.resume() })
  t.equal((await fetch(slow.url)).status, 504)
  await settled(ofSlow, 1)
  t.equal(await ofSlow.value('polaris_workload_errors_total', { kind: 'headers-timeout' }), 1)
})

t.test('requests under way are in flight, and their connections open', async t => {
  const { proxy, admin } = await setUp(t, {}, () => undefined)
  const leaving = new AbortController()
  const answers = Promise.allSettled(Array.from({ length: 5 }, () => fetch(proxy.url, { signal: leaving.signal })))
  while (await admin.value('polaris_workload_connections', { state: 'open' }) !== 5) await setTimeout(10)
  t.equal(await admin.value('polaris_requests_in_flight'), 5)
  leaving.abort()
  await answers
  await settled(admin, 5)
  t.equal(await admin.value('polaris_requests_in_flight'), 0)
  t.equal(await admin.value('polaris_requests_total', { protocol: 'plain', status: 'none' }), 5)
  t.equal(await admin.value('polaris_requests_cut_off_total', { protocol: 'plain' }), 5)
})

t.test('keys, evidence, gate, memory and event loop are told', async t => {
  // Evidence is obtained again when further keys become ready: here, all are from the start.
  const keyProvider = await fixedKey(rsaKey(2048).privatePem)
  const { admin } = await setUp(
    t, { attestationType: 'simulated', attestationRequired: true, hpkeRotation: '24h' }, undefined, { keyProvider }
  )
  while (await admin.value('polaris_evidence_age_seconds', { platform: 'simulated' }) === undefined) {
    await setTimeout(20)
  }
  t.equal(await admin.value('polaris_attestation_gate_open'), 1)
  t.equal(await admin.value('polaris_attestation_gate_state', { state: 'fresh' }), 1)
  t.equal(await admin.value('polaris_attestation_gate_state', { state: 'failed' }), 0)
  t.ok((await admin.value('polaris_evidence_expiry_seconds') ?? 0) > 60)
  t.equal(await admin.value('polaris_service_calls_total', { service: 'attestation', outcome: 'ok' }), 1)
  t.equal(await admin.value('polaris_service_calls_total', { service: 'keys', outcome: 'ok' }), 1)
  t.equal(await admin.value('polaris_keys', { kind: 'rsa', state: 'active' }), 1)
  t.ok((await admin.value('polaris_keys', { kind: 'hpke', state: 'active' }) ?? 0) >= 1)
  const rotation = await admin.value('polaris_key_next_rotation_seconds', { kind: 'hpke' }) ?? NaN
  t.ok(rotation > 0 && rotation <= 86_400)
  const samples = parsePage(await admin.page())
  const value = (wanted: string, labels: Record<string, string> = {}) =>
    samples.find(({ name, labels: found }) => name === wanted &&
      Object.entries(labels).every(([label, text]) => found[label] === text))?.value
  for (const name of [
    'heap_bytes', 'heap_limit_bytes', 'resident_memory_bytes', 'memory_limit_bytes', 'cpu_seconds_total',
    'open_descriptors', 'build_info', 'buffer_limit_bytes', 'ready'
  ]) {
    t.ok((value(`polaris_${name}`) ?? 0) > 0, name)
  }
  for (const quantile of ['0.5', '0.99', '1']) {
    t.ok((value('polaris_event_loop_delay_seconds', { worker: '1', quantile }) ?? -1) >= 0)
  }
})

t.test('a stream in large pieces is whole with metrics, too', async t => {
  const body = Buffer.alloc(3_000_000, 'streamed ')
  const { proxy } = await setUp(t, {}, (request, response) => {
    request.resume()
    Readable.from([body.subarray(0, 1_000_000), body.subarray(1_000_000)]).pipe(response)
  })
  const { inner } = await sendOhttp(proxy.url, true)
  t.ok(inner.body.equals(body))
  t.ok(Buffer.from(await (await fetch(proxy.url)).arrayBuffer()).equals(body))
})
