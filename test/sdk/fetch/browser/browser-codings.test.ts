/** Content codings in a real browser: what scripts can decode is decoded, what they cannot is an error with a code. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import t from 'tap'
import { startSite } from '../../../../examples/browser/site.ts'
import { noChromium, openPage } from '../../../fixtures/chromium.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

/** What `page.evaluate` runs is the page's, with the SDK's file for browsers. */
type Sdk = typeof import('../../../../sdk/index.ts')

const text = 'grüße, '.repeat(20_000)
const answers: Record<string, [coding: string, body: Buffer]> = {
  gzip: ['gzip', gzipSync(text)],
  deflate: ['deflate', deflateSync(text)],
  raw: ['deflate', deflateRawSync(text)],
  double: ['deflate, gzip', gzipSync(deflateRawSync(text))],
  unknown: ['made-up', Buffer.from(text)],
  empty: ['gzip', Buffer.alloc(0)],
  wrong: ['gzip', Buffer.from(text)],
  br: ['br', brotliCompressSync(text)]
}

t.test('as in Node, as far as the platform lets scripts decode', { skip: noChromium, timeout: 120_000 }, async t => {
  const workload = await startWorkload(t, (request, response) => {
    const [coding, body] = answers[request.url?.slice(1) ?? ''] ?? ['', Buffer.alloc(0)]
    response.writeHead(200, { 'content-encoding': coding, 'content-length': body.length }).end(body)
  })
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const site = await startSite()
  t.teardown(() => site.close())
  const page = await openPage(t, site.url)
  const results = await page.evaluate(async ([proxyUrl, names]) => {
    const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
    const polarisFetch = createPolarisFetch({ baseURL: proxyUrl })
    const results: Record<string, unknown> = {}
    for (const name of names) {
      results[name] = await polarisFetch(`/${name}`).then(response => response.text()).then(
        body => body.length, (error: { code: string }) => error.code
      )
    }
    const reader = (await polarisFetch('/gzip')).body!.getReader({ mode: 'byob' })
    const { value } = await reader.read(new Uint8Array(5))
    await reader.cancel()
    return { ...results, byob: value?.byteLength }
  }, [proxy.url, Object.keys(answers)] as const)
  const { br, ...others } = results as Record<string, unknown>
  t.strictSame(others, {
    gzip: text.length,
    deflate: text.length,
    raw: text.length,
    double: text.length,
    unknown: text.length,
    empty: 0,
    wrong: 'ERR_POLARIS_CONTENT_CODING',
    byob: 5
  })
  t.ok(br === text.length || br === 'ERR_POLARIS_CONTENT_CODING', `br: ${String(br)}`)
})
