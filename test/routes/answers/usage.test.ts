/**
 * POLARIS_CONTAINER_USAGE: what clients and the network get to know of the token counts of an answer, in each protocol.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { ehbpRequest, fetchEhbpKey } from '../../fixtures/ehbp-client.ts'
import { adminOf } from '../../fixtures/metrics.ts'
import { exchangeBytes, startModes } from '../../fixtures/modes.ts'
import { encapsulate, fetchKey, requestHead } from '../../fixtures/ohttp-client.ts'
import { readOctets, startExchange } from '../../fixtures/ohttp-stream.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { readResponse } from '../../fixtures/raw-response.ts'
import {
  EXPECTED, chat, chatEvents, events, inHeader, inTrailer, listener, nowhere, reported, whole
} from '../../fixtures/usage.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(300_000)

const workload = await startWorkload(t, listener)
const [, ...modes] = await startModes(t, workload.url, { usage: 'on' })

for (const mode of modes) {
  t.test(`${mode.name}: the counts of an answer go ahead of it, those of a stream follow it`, async t => {
    const streamed = whole.includes(mode.name) ? inHeader : inTrailer
    for (const [target, expected] of [
      ['/chat', inHeader], ['/message', inHeader], ['/streamed-json', streamed], ['/long-json', streamed],
      ['/chat-events', streamed], ['/message-events', streamed], ['/long-events', streamed],
      ['/known-events', streamed]
    ] as const) {
      const answer = await mode.send({ target })
      t.same(reported(answer.outer), expected, target)
      t.equal(answer.status, 200)
      t.match(answer.body.toString(), /"(?:output|completion)_tokens":34/)
    }
  })

  t.test(`${mode.name}: the counts of an answer that comes piece by piece are in one place or the other`, async t => {
    for (const target of ['/head-first', '/halves', '/late-half']) {
      const answer = await mode.send({ target })
      const { header, trailer } = reported(answer.outer)
      t.same([...header, ...trailer], [EXPECTED], target)
      t.equal(answer.body.toString(), chat)
    }
  })

  t.test(`${mode.name}: a compressed answer is read, and stays as it is`, async t => {
    const streamed = whole.includes(mode.name) ? inHeader : inTrailer
    for (const target of ['/gzip', '/br', '/zstd']) {
      t.same(reported((await mode.send({ target })).outer), inHeader, target)
    }
    t.same(reported((await mode.send({ target: '/gzip-events' })).outer), streamed)
    if (mode.name !== 'unencrypted') return
    t.same((await mode.send({ target: '/gzip' })).body, gzipSync(chat))
  })
}

t.test('EHBP: as of streams', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableEhbp: true, usage: 'true' })
  const key = await fetchEhbpKey(proxy.url)
  const send = async (target: string, more = '') => {
    const request = await ehbpRequest(key, '{}')
    const head = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const response = readResponse(await exchangeBytes(
      proxy.port, `POST ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${head}${more}` +
      `content-length: ${request.body.length}\r\n\r\n`, request.body
    ))
    t.ok(response.complete)
    const opened = request.open({ headers: new Headers(response.fields.map(([name, value]) => [name, value])) },
      response.body)
    return { response, text: Buffer.concat(opened).toString() }
  }
  const { response, text } = await send('/chat-events')
  t.same(reported(response), inTrailer)
  t.same(text, chatEvents.join(''))
  t.same(reported((await send('/chat')).response), inHeader)
  t.same(reported((await send('/chat', 'polaris-usage: no\r\n')).response), nowhere)
})

t.test('a stream is not held back: each event arrives before the next one is sent', async t => {
  const responses: ServerResponse[] = []
  const slow = await startWorkload(t, (request, response) => {
    request.resume()
    responses.push(events(response))
    response.flushHeaders()
  })
  const proxy = await startProxy(t, { workloadBaseUrl: slow.url, usage: 'on' })
  const exchange = await startExchange(t, proxy.url, await fetchKey(proxy.url), requestHead('POST', '/'))
  await exchange.end()
  const pieces = await exchange.pieces()
  for (const event of chatEvents) {
    responses[0]?.write(event)
    t.same((await readOctets(pieces, event.length)).toString(), event)
  }
  responses[0]?.end()
  t.same(await pieces.next(), { done: true, value: undefined })
  const answer = await exchange.answer
  if (!answer.complete) await once(answer, 'end')
  t.equal(answer.headers.trailer, 'Polaris-Usage')
  t.equal(answer.trailers['polaris-usage'], EXPECTED)
})

t.test('the metrics add up what was reported, by protocol, and nothing that was refused', async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, usage: 'on', adminAddress: '127.0.0.1:0' })
  const admin = adminOf(proxy.log)
  const key = await fetchKey(proxy.url)
  for (const chunked of [false, true, true]) {
    const { contentType, message, open } = await encapsulate(
      key, requestHead('POST', '/chat'), undefined, { chunked }
    )
    await open(await fetch(proxy.url, { method: 'POST', headers: { 'content-type': contentType }, body: message }))
  }
  await (await fetch(`${proxy.url}/chat-events`)).text()
  await (await fetch(`${proxy.url}/chat`, { headers: { 'polaris-usage': 'no' } })).text()
  for (const [protocol, answers] of [['ohttp', 1], ['ohttp-chunked', 2], ['plain', 1]] as const) {
    t.equal(await admin.value('polaris_usage_answers_total', { protocol }), answers)
    t.equal(await admin.value('polaris_usage_tokens_total', { protocol, direction: 'input' }), 12 * answers)
    t.equal(await admin.value('polaris_usage_tokens_total', { protocol, direction: 'output' }), 34 * answers)
  }
})
