/** What cannot be opened is refused in one way, whatever is wrong with it; what a client can mend is told. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import t from 'tap'
import { KEM_MLKEM768_X25519 } from '../../../lib/protocols/ohttp/suites.ts'
import { encodeHeader } from '../../../lib/protocols/ohttp/ohttp.ts'
import { createMemoryReplayStore } from '../../../lib/replay/memory.ts'
import { ReplayStoreError } from '../../../lib/replay/store.ts'
import { generateKemKeyPair } from '../../../lib/hpke/kem.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import type { Encapsulated } from '../../fixtures/ohttp-client.ts'
import { spoil } from '../../fixtures/ohttp.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

/** Say when, and whether the body was read to its end: nothing of what was in it. */
const INCIDENTAL = new Set(['date', 'connection', 'keep-alive'])

/** All that a client can tell refusals apart by, but for the request id. */
async function outcome (response: Response) {
  const body = await response.text()
  return {
    status: response.status,
    headers: [...response.headers].filter(([name]) => !INCIDENTAL.has(name)),
    body: body.replace(/"requestId":"[^"]+"/, '"requestId":""')
  }
}

const CANNOT_OPEN = {
  status: 400,
  body: '{"type":"urn:polaris-secure-proxy:problem:cannot-open","title":"Cannot open","status":400,"detail":"The ' +
    'request cannot be opened. Fetch the public key again and re-encrypt; if that does not help, client and proxy ' +
    'disagree about the protocol.","requestId":""}'
}

const type = (name: string) => new RegExp(`"type":"https://iana.org/assignments/http-problem-types#${name}"`)

/** 0, 1, …, and then some of the others. */
function * offsets (length: number) {
  for (let at = 0; at < length; at += at < 70 || at > length - 20 ? 1 : 37) yield at
}

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'

  t.test(`${form}: truncated anywhere, it cannot be opened`, async t => {
    const workload = await startWorkload(t)
    const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.alloc(300, 1), { chunked })
    let first
    for (const length of offsets(request.message.length)) {
      const refused = await outcome(await send(url, { ...request, message: request.message.subarray(0, length) }))
      if (length === 0) t.match(refused, CANNOT_OPEN)
      t.strictSame(refused, first ??= refused, `${length} octets`)
    }
    t.equal(workload.received.length, 0)
    t.notOk(log.some(line => line.includes('"level":50')))
    t.equal((await request.open(await send(url, request))).status, 200, 'none of which spoils the request itself')
  })

  t.test(`${form}: with a bit flipped anywhere, it cannot be opened`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.alloc(300, 1), { chunked })
    for (const at of offsets(request.message.length)) {
      const message = Uint8Array.from(request.message)
      message[at] = message[at] as number ^ (1 << at % 8)
      const refused = await outcome(await send(url, { ...request, message }))
      // Key id and algorithms are in clear, and changed they name what is not there; but a flip may name another AEAD.
      if (at < 7 && refused.status === 422) t.match(refused.body, type('ohttp-key'))
      else t.match(refused, CANNOT_OPEN, `octet ${at}`)
    }
    t.equal(workload.received.length, 0)
  })

  t.test(`${form}: garbage cannot be opened`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    const { contentType } = await encapsulate(key, requestHead('GET', '/'), undefined, { chunked })
    const header = encodeHeader({ keyId: key.keyId, kemId: key.kemId, kdfId: 1, aeadId: 1 })
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.uint8Array({ maxLength: 200 }).map(rest => Buffer.concat([header, rest])),
      // The all-zero point and others of small order have no shared secret.
      fc.constantFrom(0, 1).map(
        octet => Buffer.concat([header, Buffer.from([octet]), Buffer.alloc(31), randomBytes(40)])
      ))
    await fc.assert(fc.asyncProperty(garbage, async octets => {
      const refused = await outcome(await send(url, { contentType, message: Uint8Array.from(octets) } as Encapsulated))
      if (refused.status !== 422 || !type('ohttp-key').test(refused.body)) t.match(refused, CANNOT_OPEN)
    }), { numRuns: 60 })
    t.equal(workload.received.length, 0)
  })

  t.test(`${form}: a key or algorithms that are not there are told, so that clients fetch them anew`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    const hybrid = generateKemKeyPair(KEM_MLKEM768_X25519)
    const unknown = {
      'key id': await encapsulate({ ...key, keyId: key.keyId ^ 0x80 }, requestHead('GET', '/'), undefined, { chunked }),
      KEM: await encapsulate(
        { ...key, kemId: hybrid.kemId, publicKey: hybrid.publicKey }, requestHead('GET', '/'), undefined, { chunked }
      )
    }
    const cases: [string, Encapsulated][] = Object.entries(unknown)
    for (const [name, field] of [['unknown KEM', 1], ['unknown KDF', 3], ['unknown AEAD', 5]] as const) {
      const message = Uint8Array.from(unknown['key id'].message)
      message.set([0xff, 0xfe], field)
      cases.push([name, { ...unknown['key id'], message }])
    }
    for (const [name, request] of cases) {
      const refused = await outcome(await send(url, request))
      t.equal(refused.status, 422, name)
      t.match(refused.body, type('ohttp-key'))
      t.match(new Map(refused.headers).get('content-type'), 'application/problem+json')
    }
    t.equal(workload.received.length, 0)
  })

  t.test(`${form}: what was encrypted to another key under the same id cannot be opened`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    const { publicKey } = generateKemKeyPair(key.kemId)
    const request = await encapsulate({ ...key, publicKey }, requestHead('GET', '/'), undefined, { chunked })
    t.match(await outcome(await send(url, request)), CANNOT_OPEN)
  })

  t.test(`${form}: a Date that is missing, no date or out of the window is told; one within it is not`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const key = await fetchKey(url)
    const at = (offset: number) => [['date', new Date(Date.now() + offset).toUTCString()]] as const
    const cases = [
      [[], 400], [at(-120_000), 400], [at(120_000), 400], [[['date', 'yesterday']], 400], [[['date', '']], 400],
      [at(-50_000), 200], [at(50_000), 200], [[...at(0), ...at(-120_000)], 200]
    ] as const
    for (const [headers, status] of cases) {
      const request = await encapsulate(key, { ...requestHead('GET', '/'), headers }, undefined, { chunked })
      const response = await send(url, request)
      t.equal(response.status, status, JSON.stringify(headers))
      if (status === 400) {
        t.match(await response.text(), type('date'))
        t.ok(
          Math.abs(Date.parse(response.headers.get('date') ?? '') - Date.now()) < 60_000,
          'the clock of the proxy is told'
        )
      }
    }
    t.equal(workload.received.length, 3)
  })

  t.test(`${form}: a replay is refused as what cannot be opened, and one of a hundred copies is forwarded`, async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.from('x'), { chunked })
    const statuses = await Promise.all(
      Array.from({ length: 100 }, async () => (await outcome(await send(url, request))).status)
    )
    t.equal(statuses.filter(status => status === 200).length, 1)
    t.equal(workload.received.length, 1)
    t.match(await outcome(await send(url, request)), CANNOT_OPEN)
  })

  t.test(`${form}: a refusal because of its Date does not use a request up, nor does a copy that does not ` +
    'open', async t => {
    const workload = await startWorkload(t)
    const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
    const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), Buffer.from('x'), { chunked })
    const spoiled = spoil(request.message)
    t.match(await outcome(await send(url, { ...request, message: spoiled })), CANNOT_OPEN)
    t.equal((await request.open(await send(url, request))).status, 200)
  })

  t.test(`${form}: without replay protection nothing is forwarded`, async t => {
    const workload = await startWorkload(t)
    const down = {
      admit () { throw new ReplayStoreError('down') }, problem: () => 'no connection', close: async () => undefined
    }
    const full = createMemoryReplayStore({ remember: 60_000, capacity: 0 })
    for (const replayStore of [down, full]) {
      const { url, log } = await startProxy(t, { workloadBaseUrl: workload.url }, { replayStore })
      const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked })
      const response = await send(url, request)
      t.equal(response.status, 503)
      t.equal(response.headers.get('retry-after'), '1')
      t.match(await response.json(), { type: 'urn:polaris-secure-proxy:problem:replay-store' })
      const ready = await fetch(`${url}/polaris-container/readyz`)
      t.equal(ready.status, 503)
      t.match((await ready.json() as { reasons: string[] }).reasons, [/^replay protection: (no connection|full)/])
      t.notOk(log.some(line => line.includes('"level":50')))
    }
    t.equal(workload.received.length, 0)
  })
}

t.test('a body that turns out to be spoiled while the replay store is asked is refused, and the process goes ' +
  'on', async t => {
  const workload = await startWorkload(t)
  const replayStore = {
    admit: () => setTimeout(200, true),
    problem: () => undefined,
    close: async () => undefined
  }
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url }, { replayStore })
  const key = await fetchKey(url)
  const request = await encapsulate(key, requestHead('POST', '/'), Buffer.alloc(200_000))
  // Nothing of what comes first and has the head; a bit of what comes after it.
  const message = Uint8Array.from(request.message)
  message[60_000]! ^= 1
  const client = httpRequest(url, { method: 'POST', headers: { 'content-type': request.contentType } })
  client.write(message.subarray(0, 40_000))
  await setTimeout(50)
  client.end(message.subarray(40_000))
  const [incoming] = await once(client, 'response') as [IncomingMessage]
  const answer = await request.open(
    new Response(await buffer(incoming), { headers: { 'content-type': incoming.headers['content-type'] ?? '' } })
  )
  t.equal(answer.status, 400)
  t.match(answer.body.toString(), /problem:bad-request"/)
  const next = await encapsulate(key, requestHead('POST', '/'), Buffer.alloc(200_000))
  t.equal((await next.open(await send(url, next))).status, 200)
  t.equal(workload.received.length, 1)
})
