/**
 * POLARIS_CONTAINER_USAGE: what clients and the network get to know of the token counts of an answer, in each protocol,
 * and when they do not.
 */
import { once } from 'node:events'
import type { RequestListener, ServerResponse } from 'node:http'
import { brotliCompressSync, createGzip, gzipSync, zstdCompressSync } from 'node:zlib'
import t from 'tap'
import { ehbpRequest, fetchEhbpKey } from '../../fixtures/ehbp-client.ts'
import { adminOf } from '../../fixtures/metrics.ts'
import { exchangeBytes, startModes } from '../../fixtures/modes.ts'
import { encapsulate, fetchKey, requestHead } from '../../fixtures/ohttp-client.ts'
import { readOctets, startExchange } from '../../fixtures/ohttp-stream.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { readResponse, valuesOf } from '../../fixtures/raw-response.ts'
import type { RawResponse } from '../../fixtures/raw-response.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const chat = JSON.stringify(
  { choices: [{ text: 'Hello' }], usage: { prompt_tokens: 12, completion_tokens: 34, total_tokens: 46 } }
)
const message = JSON.stringify({ type: 'message', content: [], usage: { input_tokens: 12, output_tokens: 34 } })
const chatEvents = [
  'data: {"choices":[{"delta":{"content":"Hello"}}],"usage":null}\n\n',
  'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}\n\n',
  'data: [DONE]\n\n'
]
const messageEvents = [
  'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":12,"output_tokens":1}}}\n\n',
  'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":34}}\n\n',
  'event: message_stop\ndata: {"type":"message_stop"}\n\n'
]
const EXPECTED = 'input=12, output=34, total=46'

/** Answers of the workload, by path. */
const answers: Record<string, (response: ServerResponse) => unknown> = {
  '/chat': response => json(response).end(chat),
  '/message': response => json(response).end(message),
  '/head-first': response => {
    json(response).setHeader('content-length', chat.length).flushHeaders()
    setTimeout(() => response.end(chat), 5)
  },
  '/halves': response => inHalves(response, 20),
  '/late-half': response => inHalves(response, 500),
  '/streamed-json': response => inPieces(json(response), [chat.slice(0, 20), chat.slice(20)]),
  '/long-json': response => json(response).end(`{"text":"${'x'.repeat(200_000)}",${chat.slice(1)}`),
  '/too-long-json': response => json(response).end(`{"text":"${'x'.repeat(2 ** 20)}",${chat.slice(1)}`),
  '/chat-events': response => inPieces(events(response), chatEvents),
  '/known-events': response => events(response).end(chatEvents.join('')),
  '/message-events': response => inPieces(events(response), messageEvents),
  '/long-events': response => inPieces(events(response), [
    ...Array.from({ length: 40 }, (_, i) => `data: {"choices":[{"delta":{"content":"${String(i).repeat(40_000)}"}}]}\n\n`),
    ...chatEvents
  ]),
  '/gzip': response => json(response).setHeader('content-encoding', 'gzip').end(gzipSync(chat)),
  '/br': response => json(response).setHeader('content-encoding', 'br').end(brotliCompressSync(chat)),
  '/zstd': response => json(response).setHeader('content-encoding', 'zstd').end(zstdCompressSync(chat)),
  '/gzip-events': response => {
    const gzip = createGzip()
    gzip.pipe(events(response).setHeader('content-encoding', 'gzip'))
    inPieces(gzip, chatEvents)
  },
  '/bomb': response => json(response).setHeader('content-encoding', 'gzip')
    .end(gzipSync(`{"text":"${'x'.repeat(2 ** 25)}",${chat.slice(1)}`)),
  '/not-gzip': response => json(response).setHeader('content-encoding', 'gzip').end(chat),
  '/other-coding': response => json(response).setHeader('content-encoding', 'other').end(chat),
  '/text': response => response.setHeader('content-type', 'text/plain').end(chat),
  '/error': response => { json(response).statusCode = 429; response.end(chat) },
  '/no-usage': response => json(response).end('{"choices":[]}'),
  '/no-usage-events': response => inPieces(events(response), ['data: [DONE]\n\n']),
  '/not-json': response => json(response).end(chat.slice(1)),
  '/forged': response => json(response).setHeader('polaris-usage', 'input=1, output=1, total=2').end('{}'),
  '/none': response => { json(response).statusCode = 204; response.end() }
}
/** The header as it reached the workload. */
const reached = new Set<unknown>()
const listener: RequestListener = (request, response) => {
  reached.add(request.headers['polaris-usage'])
  request.resume().once('end', () => answers[request.url ?? '']?.(response))
}

function json (response: ServerResponse): ServerResponse {
  return response.setHeader('content-type', 'application/json; charset=utf-8')
}

function events (response: ServerResponse): ServerResponse {
  return response.setHeader('content-type', 'text/event-stream')
}

function inPieces (response: NodeJS.WritableStream, pieces: readonly string[]): void {
  const [first, ...rest] = pieces
  if (first === undefined) response.end()
  else {
    response.write(first)
    setImmediate(inPieces, response, rest)
  }
}

/** With a length, and so many milliseconds in between. */
function inHalves (response: ServerResponse, pause: number): void {
  json(response).setHeader('content-length', chat.length).write(chat.slice(0, 30))
  setTimeout(() => response.end(chat.slice(30)), pause)
}

/** What everyone on the way can read of it. */
function reported ({ fields, trailers }: RawResponse): { header: string[], trailer: string[] } {
  return { header: valuesOf(fields, 'polaris-usage'), trailer: valuesOf(trailers, 'polaris-usage') }
}

const inHeader = { header: [EXPECTED], trailer: [] }
const inTrailer = { header: [], trailer: [EXPECTED] }
const nowhere = { header: [], trailer: [] }

const workload = await startWorkload(t, listener)
const [, ...modes] = await startModes(t, workload.url, { usage: 'on' })
/** Protocols that hold an answer as a whole: nothing of it leaves before its end. */
const whole: readonly string[] = ['output only', 'v1', 'OHTTP']

for (const mode of modes) {
  t.test(`${mode.name}: the counts of an answer go ahead of it, those of a stream follow it`, async t => {
    const streamed = whole.includes(mode.name) ? inHeader : inTrailer
    for (const [target, expected] of [
      ['/chat', inHeader], ['/message', inHeader], ['/head-first', inHeader], ['/halves', inHeader],
      ['/late-half', streamed], ['/streamed-json', streamed],
      ['/long-json', streamed], ['/chat-events', streamed],
      ['/message-events', streamed], ['/long-events', streamed], ['/known-events', streamed]
    ] as const) {
      const answer = await mode.send({ target })
      t.same(reported(answer.outer), expected, target)
      t.equal(answer.status, 200)
      t.match(answer.body.toString(), /"(?:output|completion)_tokens":34/)
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

  t.test(`${mode.name}: nothing is said of what has no counts, or too far in`, async t => {
    for (const target of [
      '/too-long-json', '/bomb', '/text', '/error', '/no-usage', '/no-usage-events', '/not-json', '/other-coding',
      '/none', '/forged'
    ]) {
      const answer = await mode.send({ target })
      t.same(reported(answer.outer), nowhere, target)
      t.equal(answer.status, target === '/error' ? 429 : target === '/none' ? 204 : 200, target)
    }
    const { outer } = await mode.send({ method: 'HEAD', target: '/chat' })
    t.same(reported(outer), nowhere, 'HEAD')
  })

  t.test(`${mode.name}: a client refuses inside of its request, and the workload sees nothing of it`, async t => {
    reached.clear()
    for (const value of ['no', 'NO', 'x, No', 'no,x']) {
      for (const target of ['/chat', '/chat-events']) {
        const answer = await mode.send({ target, headers: [['Polaris-Usage', value]] })
        t.same(reported(answer.outer), nowhere, `${target} ${value}`)
      }
    }
    const other = await mode.send({ target: '/chat', headers: [['polaris-usage', 'yes']] })
    t.same(reported(other.outer), inHeader)
    t.same([...reached], [undefined])
    if (mode.name === 'unencrypted' || mode.name === 'output only') return
    const outside = await mode.send({ target: '/chat' }, [['polaris-usage', 'no']])
    t.same(reported(outside.outer), inHeader, 'the outer request belongs to the network')
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

t.test('HTTP/1.0 knows no trailers, and gets the stream', async t => {
  const plain = modes.find(({ name }) => name === 'unencrypted')
  const response = readResponse(
    await exchangeBytes(plain?.port ?? 0, 'GET /chat-events HTTP/1.0\r\nhost: x\r\n\r\n')
  )
  t.same(reported(response), nowhere)
  t.same(response.body.toString(), chatEvents.join(''))
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

t.test('an answer that breaks off while it is waited for is an error, and not of the process', async t => {
  const breaking = await startWorkload(t, (_request, response) => {
    json(response).setHeader('content-length', chat.length).write(chat.slice(0, 30))
    setTimeout(() => response.destroy(), 20)
  })
  for (const mode of (await startModes(t, breaking.url, { usage: 'on' })).slice(1)) {
    const status = await mode.send().then(({ status }) => status, () => 'cut off')
    t.ok(status === 502 || status === 'cut off', `${mode.name}: ${status}`)
  }
})

t.test('an answer that breaks off has no counts, and is cut off for the client, too', async t => {
  const breaking = await startWorkload(t, (request, response) => {
    request.resume()
    events(response).write(chatEvents.slice(0, 2).join(''))
    setTimeout(() => response.destroy(), 20)
  })
  const proxy = await startProxy(t, { workloadBaseUrl: breaking.url, usage: 'on', adminAddress: '127.0.0.1:0' })
  const response = readResponse(
    await exchangeBytes(proxy.port, 'GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  )
  t.equal(response.complete, false)
  t.equal(await adminOf(proxy.log).value('polaris_usage_answers_total'), undefined)
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

t.test('by default nothing is read, added or taken away', async t => {
  const echo = await startWorkload(t)
  for (const mode of (await startModes(t, workload.url)).slice(1)) {
    t.same(reported((await mode.send({ target: '/chat' })).outer), nowhere, mode.name)
    t.same(reported((await mode.send({ target: '/chat-events' })).outer), nowhere, mode.name)
  }
  const proxy = await startProxy(t, { workloadBaseUrl: echo.url })
  await (await fetch(proxy.url, { headers: { 'polaris-usage': 'no' } })).text()
  t.equal(echo.received[0]?.headers['polaris-usage'], 'no')
  const forged = await fetch(`${(await startProxy(t, { workloadBaseUrl: workload.url })).url}/forged`)
  t.equal(forged.headers.get('polaris-usage'), 'input=1, output=1, total=2')
})
