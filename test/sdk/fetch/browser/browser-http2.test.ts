/**
 * Over HTTP/2, Chromium streams request bodies, and the fetch finds out that it can. Skipped where there is no browser.
 */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { startSite } from '../../../../examples/browser/site.ts'
import { createAuthority } from '../../../fixtures/certificates.ts'
import { noChromium, openPage } from '../../../fixtures/chromium.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

type Sdk = typeof import('../../../../sdk/index.ts')

/** What ends TLS in front of both, as a load balancer does: HTTP/2 outside, HTTP/1.1 inside. */
async function startFront (t: Test, proxyUrl: string, siteUrl: string): Promise<string> {
  const { keyPem, certPem } = createAuthority().issue(['localhost'])
  const server = createSecureServer({ key: keyPem, cert: certPem }, (request, response) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).filter(([name]) => !name.startsWith(':') && name !== 'host')
    )
    const target = request.url.startsWith('/.well-known/') ? proxyUrl : siteUrl
    const inner = httpRequest(target + request.url, { method: request.method, headers }, answer => {
      const rest = Object.fromEntries(Object.entries(answer.headers).filter(
        ([name]) => !['connection', 'keep-alive', 'transfer-encoding'].includes(name)
      ))
      response.writeHead(answer.statusCode ?? 502, rest)
      answer.pipe(response)
    })
    inner.on('error', () => response.stream.close())
    request.pipe(inner)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

for (const origins of ['one origin', 'two origins'] as const) {
  t.test(`the workload sees the first octets while the page still sends, ${origins}`, {
    skip: noChromium, timeout: 120_000
  }, async t => {
    const arrived: string[] = []
    const workload = await startWorkload(t, async (request, response) => {
      for await (const piece of request) arrived.push(String(piece))
      response.end(JSON.stringify(request.headers))
    })
    const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
    const site = await startSite()
    t.teardown(() => site.close())
    const url = await startFront(t, proxy.url, site.url)
    const page = await openPage(
      t, origins === 'one origin' ? url : await startFront(t, proxy.url, site.url), { ignoreHTTPSErrors: true }
    )

    await page.evaluate(async baseURL => {
      const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
      const polarisFetch = createPolarisFetch({ baseURL })
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      const writer = writable.getWriter()
      const response = polarisFetch(
        '/upload', { method: 'POST', body: readable, duplex: 'half' } as RequestInit
      ).then(answer => answer.json())
      Object.assign(globalThis, { writer, response })
    }, url)

    const write = (piece: string) => page.evaluate(piece => (globalThis as unknown as {
      writer: WritableStreamDefaultWriter
    }).writer.write(new TextEncoder().encode(piece)), piece)
    for (const piece of ['first', 'second', 'third']) {
      await write(piece)
      while (!arrived.includes(piece)) await new Promise(resolve => { setTimeout(resolve, 10) })
    }
    const headers = await page.evaluate(async () => {
      const { writer, response } = globalThis as unknown as {
        writer: WritableStreamDefaultWriter, response: Promise<Record<string, string>>
      }
      await writer.close()
      return response
    })
    t.strictSame(arrived, ['first', 'second', 'third'])
    t.equal(headers['transfer-encoding'], 'chunked', 'the length was not known')
  })
}
