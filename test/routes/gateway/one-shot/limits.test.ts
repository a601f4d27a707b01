/** One-shot messages are held as a whole: there are limits to each, and to all together. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { REQUEST_MEDIA_TYPE } from '../../../../lib/protocols/ohttp/ohttp.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../../fixtures/ohttp-client.ts'
import { sendPieces } from '../../../fixtures/ohttp/pieces.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const MIB = 2 ** 20

/** Bytes that are not the same everywhere. */
const pattern = (length: number) => Buffer.from(Uint8Array.from({ length }, (_, i) => i * 31 >> 3 & 0xff))

t.test('a request over the limit is told so, whether its length is announced or not', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpMaxBodyBytes: 100_000 })
  const key = await fetchKey(url)
  for (const [length, status] of [[90_000, 200], [100_001, 413], [300_000, 413]] as const) {
    const request = await encapsulate(key, requestHead('POST', '/'), pattern(length), { chunked: false })
    const again = await encapsulate(key, requestHead('POST', '/'), pattern(length), { chunked: false })
    const responses = [await sendPieces(url, request, 50_000), await send(url, again)]
    for (const response of responses) {
      t.equal(response.status, status)
      if (status === 413) {
        t.match(
          await response.json(), { type: 'urn:polaris-secure-proxy:problem:body-too-large', detail: /chunked OHTTP/ }
        )
      }
    }
  }
  t.equal(workload.received.length, 2)
  const chunked = await encapsulate(key, requestHead('POST', '/'), pattern(5 * MIB))
  t.equal((await chunked.open(await send(url, chunked))).status, 200, 'what streams has no limit')
})

t.test('a response over the limit is a failure of the workload, told inside, which is read no further', async t => {
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const workload = await startWorkload(t, async (request, response) => {
    request.resume()
    response.once('close', () => resolve())
    while (!response.destroyed) {
      if (!response.write(Buffer.alloc(50_000))) await Promise.race([once(response, 'drain'), closed])
    }
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpMaxBodyBytes: 400_000 })
  const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked: false })
  const inner = await request.open(await send(url, request))
  t.equal(inner.status, 502)
  t.match(
    JSON.parse(inner.body.toString()),
    { type: 'urn:polaris-secure-proxy:problem:response-too-large', detail: /chunked OHTTP/ }
  )
  await closed
})

t.test('request and response have a limit each', async t => {
  const workload = await startWorkload(t, (request, response) => { request.pipe(response) })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpMaxBodyBytes: 400_000 })
  const request = await encapsulate(await fetchKey(url), requestHead('POST', '/'), pattern(390_000), { chunked: false })
  const inner = await request.open(await send(url, request))
  t.strictSame([inner.status, inner.body.length], [200, 390_000])
})

t.test('past what all may hold together a request is refused, and what was held is given back', async t => {
  const waiting: (() => void)[] = []
  const workload = await startWorkload(t, async (request, response) => {
    await buffer(request)
    waiting.push(() => response.end('done'))
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, maxBodyBytes: MIB, maxBufferedBytes: 2 * MIB })
  const key = await fetchKey(url)
  const make = () => encapsulate(key, requestHead('POST', '/'), pattern(900_000), { chunked: false })
  const first = [await make(), await make()]
  const answers = first.map(request => send(url, request))
  while (waiting.length < 2) await new Promise(resolve => setTimeout(resolve, 10))
  const refused = await send(url, await make())
  t.equal(refused.status, 503)
  t.equal(refused.headers.get('retry-after'), '1')
  t.match(await refused.json(), { type: 'urn:polaris-secure-proxy:problem:overloaded' })
  for (const finish of waiting.splice(0)) finish()
  for (const [i, answer] of answers.entries()) t.equal((await first[i]?.open(await answer))?.status, 200)

  // Refused, spoiled and abandoned ones give back what they held, too.
  const spoiled = await make()
  for (let i = 0; i < 5; i++) {
    t.equal((await send(url, { ...spoiled, message: Uint8Array.from(spoiled.message).fill(0, -20) })).status, 400)
    const gone = httpRequest(
      url, { method: 'POST', headers: { 'content-type': REQUEST_MEDIA_TYPE, 'content-length': 1_000_000 } }
    )
    gone.on('error', error => t.comment(error.message))
    gone.write(spoiled.message.subarray(0, 800_000))
    await new Promise(resolve => setTimeout(resolve, 30))
    gone.destroy()
  }
  const last = [await make(), await make()]
  const lastAnswers = last.map(request => send(url, request))
  while (waiting.length < 2) await new Promise(resolve => setTimeout(resolve, 10))
  for (const finish of waiting.splice(0)) finish()
  for (const [i, answer] of lastAnswers.entries()) t.equal((await last[i]?.open(await answer))?.status, 200)
})

t.test('one that says that it is over the limit is not begun', async t => {
  const workload = await startWorkload(t, (request, response) => {
    request.resume()
    response.writeHead(200, { 'content-length': 400_001 }).end(Buffer.alloc(400_001))
  })
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ohttpMaxBodyBytes: 400_000 })
  const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked: false })
  const inner = await request.open(await send(url, request))
  t.equal(inner.status, 502)
  t.match(JSON.parse(inner.body.toString()), { type: 'urn:polaris-secure-proxy:problem:response-too-large' })
})
