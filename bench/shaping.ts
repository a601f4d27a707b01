/**
 * What an observer learns from the pieces of a chat, with and without stream shaping. `node bench/shaping.ts [answers]`
 * streams so many answers of each of several synthetic kinds through the proxy, in chunked OHTTP. The observer keeps
 * sizes and times of what leaves, and a classifier (k nearest neighbours) tells two kinds apart, or does not. Prints a
 * table of accuracies (docs/decisions/0025-shape-event-streams.md has one).
 */
import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import fastify from 'fastify'
import polaris from '../app.ts'
import { encodeRequest } from '../lib/protocols/bhttp/writer.ts'
import { decodeKeyConfigs } from '../lib/protocols/ohttp/key-config.ts'
import { CHUNKED_REQUEST_MEDIA_TYPE } from '../lib/protocols/ohttp/ohttp.ts'
import { startChunkedExchange } from '../sdk/ohttp/client.ts'

const ANSWERS = Number(process.argv[2] ?? 100)
const AT_ONCE = 20
const NEIGHBOURS = 5
const SETTINGS = ['off', '100ms,256', '100ms,1024', '100ms,2048']

interface Event {
  readonly text: string
  /** Milliseconds after the one before. */
  readonly gap: number
}

/** Sizes and times of what left, as everyone on the way sees them. */
type Observation = readonly { readonly size: number, readonly time: number }[]

const random = (from: number, to: number) => from + Math.random() * (to - from)
const events = (count: number, make: (i: number) => Event) => Array.from({ length: count }, (_, i) => make(i))
const word = (least: number, most: number) => 'x'.repeat(Math.floor(random(least, most + 1)))

/** Prose and code have as many events, in the same time on average. They differ in the sizes and in the rhythm. */
const KINDS: Readonly<Record<string, () => Event[]>> = {
  // Words of all lengths, at an even pace.
  prose: () => events(random(50, 70), () => ({ text: word(1, 10), gap: random(20, 30) })),
  // Short tokens, three lines at once and then a pause.
  code: () => events(random(50, 70), i => ({ text: word(1, 3), gap: i % 8 === 0 ? random(120, 160) : random(5, 12) })),
  'long prose': () => events(random(100, 140), () => ({ text: word(1, 10), gap: random(20, 30) }))
}
const PAIRS = [['prose', 'code'], ['prose', 'long prose']] as const

async function answer (kind: string, response: ServerResponse): Promise<void> {
  response.setHeader('content-type', 'text/event-stream')
  response.flushHeaders()
  for (const { text, gap } of KINDS[kind]?.() ?? []) {
    await wait(gap)
    const chunk = { id: 'chatcmpl-0123456789', object: 'chat.completion.chunk', created: 1700000000, model: 'model' }
    const choice = { index: 0, delta: { content: text }, finish_reason: null }
    response.write(`data: ${JSON.stringify({ ...chunk, choices: [choice] })}\n\n`)
  }
  response.end('data: [DONE]\n\n')
}

async function observe (url: string, keys: Uint8Array, kind: string): Promise<Observation> {
  const [config] = decodeKeyConfigs(keys)
  const [suite] = config?.suites ?? []
  if (config === undefined || suite === undefined) throw new Error('There is no key')
  const exchange = await startChunkedExchange({ config, suite })
  const headers: [string, string][] = [['date', new Date().toUTCString()]]
  const message = await exchange.seal(encodeRequest(
    { method: 'POST', scheme: 'https', authority: 'x', path: `/${encodeURIComponent(kind)}`, headers }, {}
  ))
  const outer = httpRequest(
    url, { method: 'POST', agent: false, headers: { 'content-type': CHUNKED_REQUEST_MEDIA_TYPE } }
  )
  outer.end(message)
  const [response] = await once(outer, 'response') as [IncomingMessage]
  const seen: { size: number, time: number }[] = []
  response.on('data', ({ length }: Buffer) => seen.push({ size: length, time: performance.now() }))
  await once(response, 'end')
  if (response.statusCode !== 200) throw new Error(`${response.statusCode}`)
  return seen
}

function features (seen: Observation): number[] {
  const sizes = seen.map(({ size }) => size)
  const gaps = seen.slice(1).map(({ time }, i) => time - seen[i]!.time)
  const sum = sizes.reduce((sum, size) => sum + size, 0)
  return [seen.length, sum, seen.at(-1)!.time - seen[0]!.time, ...summary(sizes), ...summary(gaps)]
}

/** Mean, deviation, and some quantiles. */
function summary (values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)
  const sorted = [...values].sort((a, b) => a - b)
  return [mean, deviation, ...[0.1, 0.25, 0.5, 0.75, 0.9].map(q => sorted[Math.floor(q * (sorted.length - 1))]!)]
}

/** Each answer is judged by those nearest to it among all others: the share that is judged rightly. */
function accuracy (kinds: readonly (readonly Observation[])[]): number {
  const points = kinds.flatMap((seen, kind) => seen.map(one => ({ kind, at: features(one) })))
  const scales = points[0]!.at.map((_, i) => summary(points.map(({ at }) => at[i]!))[1] || 1)
  const right = points.filter(point => {
    const near = points.filter(other => other !== point).map(({ kind, at }) => ({
      kind, distance: at.reduce((sum, value, i) => sum + ((value - point.at[i]!) / scales[i]!) ** 2, 0)
    })).sort((a, b) => a.distance - b.distance).slice(0, NEIGHBOURS)
    return near.filter(({ kind }) => kind === point.kind).length > NEIGHBOURS / 2
  })
  return right.length / points.length
}

const workload = createServer((request, response) => {
  request.resume().once('end', () => answer(decodeURIComponent(request.url?.slice(1) ?? ''), response))
}).listen(0, '127.0.0.1')
await once(workload, 'listening')
const workloadBaseUrl = `http://127.0.0.1:${(workload.address() as AddressInfo).port}`

const rows: string[] = []
for (const streamShaping of SETTINGS) {
  const app = fastify()
  await app.register(polaris, { config: { workloadBaseUrl, streamShaping, enableLogging: false, enableV1: false } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const keys = new Uint8Array(await (await fetch(`${url}/.well-known/ohttp-gateway`)).arrayBuffer())
  const seen = new Map(Object.keys(KINDS).map(kind => [kind, [] as Observation[]]))
  // The kinds take turns, so that what else the machine does is in all of them.
  const waiting = Array.from({ length: ANSWERS }, () => Object.keys(KINDS)).flat()
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let kind = waiting.shift(); kind !== undefined; kind = waiting.shift()) {
      seen.get(kind)?.push(await observe(url, keys, kind))
    }
  }))
  const cells = PAIRS.map(pair => `${Math.round(100 * accuracy(pair.map(kind => seen.get(kind) ?? [])))} %`)
  const sent = [...seen.values()].flat().map(one => one.reduce((sum, { size }) => sum + size, 0))
  const kilobytes = sent.reduce((sum, bytes) => sum + bytes, 0) / sent.length / 1000
  rows.push(`| \`${streamShaping}\` | ${cells.join(' | ')} | ${kilobytes.toFixed(1)} kB |`)
  app.server.closeAllConnections()
  await app.close()
}
workload.closeAllConnections()
workload.close()
process.stdout.write([
  `| setting | ${PAIRS.map(pair => pair.join(' or ')).join(' | ')} | sent per answer |`, '| --- | ---: | ---: | ---: |',
  ...rows, ''
].join('\n'))
