/**
 * POLARIS_CONTAINER_STREAM_SHAPING: event streams leave in pieces that tell little, to clients that read the same
 * events. Everything else leaves as it did.
 */
import type { RequestListener, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { createParser } from 'eventsource-parser'
import OpenAI from 'openai'
import t from 'tap'
import { createPolarisFetch } from '../../../sdk/index.ts'
import { ehbpRequest, fetchEhbpKey } from '../../fixtures/ehbp-client.ts'
import { exchangeBytes } from '../../fixtures/modes.ts'
import { encapsulate, fetchKey, requestHead } from '../../fixtures/ohttp-client.ts'
import { readOctets, startExchange } from '../../fixtures/ohttp-stream.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { readResponse, valuesOf } from '../../fixtures/raw-response.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const words = ['The', ' answer', ' is', ' 42', ', and ünicode', '.']
const stream = [
  ...words.map(content => `data: ${JSON.stringify({ id: 'x', choices: [{ index: 0, delta: { content } }] })}\n\n`),
  'data: {"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}\n\n',
  'data: [DONE]\n\n'
]
const text = stream.join('')

/** Each word by itself, in two pieces, some milliseconds apart. */
async function slowly (response: ServerResponse): Promise<void> {
  for (const event of stream) {
    response.write(event.slice(0, 9))
    await new Promise(resolve => setTimeout(resolve, 4))
    response.write(event.slice(9))
  }
  response.end()
}

function answer (response: ServerResponse, path: string): unknown {
  response.setHeader('content-type', path === '/text' ? 'text/plain' : 'text/event-stream; charset=utf-8')
  if (path === '/known') return response.end(text)
  if (path === '/gzip') return response.setHeader('content-encoding', 'gzip').end(gzipSync(text))
  if (path === '/unknown-coding') return response.setHeader('content-encoding', 'other').end(text)
  if (path === '/none') return response.writeHead(204).end()
  if (path === '/silent') return response.flushHeaders()
  if (path === '/breaks-off') {
    response.write(stream[0])
    return setTimeout(() => response.destroy(), 40)
  }
  return slowly(response)
}
const listener: RequestListener = (request, response) => {
  request.resume().once('end', () => answer(response, request.url ?? ''))
}

const workload = await startWorkload(t, listener)
const SIZE = 128
const proxy = await startProxy(
  t, { workloadBaseUrl: workload.url, enableEhbp: true, streamShaping: `20ms, ${SIZE}`, usage: 'on' }
)
const key = await fetchKey(proxy.url)

/** The pieces in which a body arrives inside of chunked OHTTP. */
async function piecesOf (path: string): Promise<{ headers: Headers, pieces: Buffer[] }> {
  const exchange = await startExchange(t, proxy.url, key, requestHead('POST', path))
  await exchange.end()
  const { head, body } = await exchange.response
  const pieces: Buffer[] = []
  for await (const piece of body) pieces.push(Buffer.from(piece))
  return { headers: new Headers(head.headers.map(([name, value]) => [name, value])), pieces }
}

function eventsIn (text: string): string[] {
  const events: string[] = []
  createParser({ onEvent: ({ data }) => events.push(data) }).feed(text)
  return events
}

const withoutComments = (text: string) => text.replaceAll(/^: *\n/gm, '')

for (const path of ['/slow', '/known', '/gzip']) {
  t.test(`${path}: pieces are multiples of the size, and without their comments what the workload sent`, async t => {
    const { headers, pieces } = await piecesOf(path)
    t.ok(pieces.length > 0)
    t.same(pieces.filter(({ length }) => length === 0 || length % SIZE !== 0), [])
    const all = Buffer.concat(pieces).toString()
    t.equal(withoutComments(all), text)
    t.same(eventsIn(all), eventsIn(text))
    t.equal(headers.get('content-type'), 'text/event-stream; charset=utf-8')
    t.equal(headers.get('content-length'), null)
    t.equal(headers.get('content-encoding'), null)
  })
}

t.test('on the wire each piece has a chunk of its own, whose length tells a number of units', async t => {
  const exchange = await startExchange(t, proxy.url, key, requestHead('POST', '/slow'))
  await exchange.end()
  const lengths: number[] = []
  const answer = await exchange.answer
  answer.on('data', (piece: Buffer) => lengths.push(piece.length))
  await new Promise(resolve => answer.once('end', resolve))
  // The head, pieces, and the end of the message. A piece has lengths of its own and a tag in front and behind.
  const overheads = new Set(lengths.slice(1, -1).map(length => length % SIZE))
  t.ok(lengths.length > 3)
  t.ok(overheads.size <= 3, `${lengths}`)
  t.equal(answer.trailers['polaris-usage'], 'input=12, output=34, total=46', 'usage is read as before')
})

t.test('a workload that says nothing is silent to nobody outside: comments leave at each tick', async t => {
  const exchange = await startExchange(t, proxy.url, key, requestHead('POST', '/silent'))
  await exchange.end()
  const pieces = await exchange.pieces()
  t.equal((await readOctets(pieces, 3 * SIZE)).toString(), `:${' '.repeat(SIZE - 2)}\n`.repeat(3))
  exchange.outer.destroy()
})

t.test('a stream that breaks off ends without its proof', async t => {
  await t.rejects(piecesOf('/breaks-off'))
})

t.test('a coding that the proxy does not know is an error inside', async t => {
  const fetch = createPolarisFetch({ baseURL: proxy.url })
  const response = await fetch('/unknown-coding', { method: 'POST' })
  t.equal(response.status, 502)
  t.match(await response.json(), { type: /upstream-invalid/ })
  t.equal((await fetch('/none', { method: 'POST' })).status, 204)
})

t.test('EHBP streams are shaped in their frames', async t => {
  const request = await ehbpRequest(await fetchEhbpKey(proxy.url), '{}')
  const response = readResponse(await exchangeBytes(
    proxy.port, 'POST /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n' +
    `ehbp-encapsulated-key: ${request.headers['ehbp-encapsulated-key']}\r\ncontent-length: ${request.body.length}\r\n\r\n`,
    request.body
  ))
  const frames = request.open(
    { headers: new Headers(response.fields.map(([name, value]) => [name, value])) }, response.body
  )
  t.ok(frames.length > 0 && frames.every(({ length }) => length % SIZE === 0))
  t.equal(withoutComments(Buffer.concat(frames).toString()), text)
  t.same(valuesOf(response.trailers, 'polaris-usage'), ['input=12, output=34, total=46'])
})

t.test('what is no event stream, or is sealed as a whole, leaves as it came', async t => {
  t.equal(Buffer.concat((await piecesOf('/text')).pieces).toString(), text)
  t.equal(await (await fetch(`${proxy.url}/slow`)).text(), text)
  const { contentType, message, open } = await encapsulate(
    key, requestHead('GET', '/slow'), undefined, { chunked: false }
  )
  const oneShot = await fetch(proxy.url, { method: 'POST', headers: { 'content-type': contentType }, body: message })
  t.equal((await open(oneShot)).body.toString(), text)
})

t.test('the OpenAI client reads the same words', async t => {
  const fetch = createPolarisFetch({ baseURL: proxy.url })
  const client = new OpenAI({ apiKey: 'x', baseURL: proxy.url, fetch, maxRetries: 0 })
  const read: (string | null | undefined)[] = []
  const chunks = await client.chat.completions.create({ model: 'x', messages: [], stream: true })
  for await (const { choices: [choice] } of chunks) if (choice !== undefined) read.push(choice.delta.content)
  t.same(read, words)
})
