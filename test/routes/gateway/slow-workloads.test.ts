/** Octets that wait for a slow workload are still there when it takes them, over TCP and over TLS. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { selfSigned } from '../../fixtures/certificate.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const MIB = 2 ** 20

/** Takes nothing for a while, then a little at a time, and sends all of it back likewise. */
const slowEcho: RequestListener = async (request, response) => {
  await sleep(100)
  const pieces: Buffer[] = []
  for await (const piece of request) {
    pieces.push(piece as Buffer)
    if (pieces.length % 20 === 0) await sleep(5)
  }
  const body = Buffer.concat(pieces)
  if (request.url === '/length') response.setHeader('content-length', body.length)
  for (let at = 0; at < body.length; at += MIB) {
    response.write(body.subarray(at, at + MIB))
    await sleep(5)
  }
  response.end()
}

for (const scheme of ['http', 'https']) {
  t.test(`over ${scheme}`, async t => {
    let workloadBaseUrl: string
    if (scheme === 'http') workloadBaseUrl = (await startWorkload(t, slowEcho)).url
    else {
      const server = createServer(selfSigned(), slowEcho).listen(0, '127.0.0.1')
      await once(server, 'listening')
      t.teardown(() => {
        server.closeAllConnections()
        server.close()
      })
      workloadBaseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    }
    const { url } = await startProxy(t, { workloadBaseUrl, workloadTlsVerify: false })
    const key = await fetchKey(url)
    await Promise.all([false, true].flatMap(chunked => ['/length', '/stream'].map(async path => {
      const content = randomBytes(6 * MIB + 12_345)
      const request = await encapsulate(key, requestHead('POST', path), content, { chunked })
      const inner = await request.open(await send(url, request))
      t.ok(inner.body.equals(content), `${path}, ${chunked ? 'chunked' : 'one-shot'}`)
    })))
  })
}
