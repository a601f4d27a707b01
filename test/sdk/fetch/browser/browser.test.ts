/**
 * In a real browser, a page on another origin calls the proxy: streams, uploads, errors. Skipped where there is none.
 */
import t from 'tap'
import { startSite } from '../../../../examples/browser/site.ts'
import { startWorkload } from '../../../../examples/browser/workload.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { noChromium, openPage } from '../../../fixtures/chromium.ts'
import { startMeddler } from '../../../fixtures/meddler.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload as startEcho } from '../../../fixtures/workload.ts'

/** What `page.evaluate` runs is the page's, with the SDK's file for browsers. */
type Sdk = typeof import('../../../../sdk/index.ts')
interface Echo { headers: Record<string, string>, body: string }

t.test('the example page works across origins', { skip: noChromium, timeout: 120_000 }, async t => {
  let count: () => void = () => undefined
  const workload = await startWorkload(() => new Promise<void>(resolve => { count = resolve }))
  t.teardown(() => workload.close())
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  const meddler = await startMeddler(t, proxy.url)
  const site = await startSite()
  t.teardown(() => site.close())
  const page = await openPage(t, `${site.url}/?proxy=${meddler.url}`)
  const output = page.locator('#output')
  const click = async (id: string) => {
    await page.click(`#${id}`)
    await output.filter({ hasText: /done|ERR_/ }).waitFor()
    return output.textContent()
  }

  t.equal(await click('ask'), '200 {"received":"{\\"name\\":\\"Ada\\"}","authorization":"Bearer secret"}\ndone\n')

  await page.click('#count')
  for (let i = 1; i <= 10; i++) {
    // The workload waits: each number is seen before the next is sent.
    await output.filter({ hasText: new RegExp(`data: ${i}\\b`) }).waitFor()
    t.notMatch(await output.textContent(), `data: ${i + 1}`)
    count()
  }
  await output.filter({ hasText: 'done' }).waitFor()

  await page.setInputFiles(
    '#file', { name: 'scan "ü".png', mimeType: 'image/png', buffer: Buffer.alloc(2_500_000, 'x') }
  )
  t.match(await click('upload'), /^scan "ü"\.png has 2500000 octets; content-length was (\d+) for \1\ndone\n$/)

  t.match(await click('attest'), /^ERR_ATTESTATION/, 'a proxy that cannot prove what it is gets nothing')

  await page.click('#count')
  await output.filter({ hasText: 'data: 1' }).waitFor()
  meddler.cutAt(0)
  count()
  await output.filter({ hasText: 'ERR_POLARIS_INCOMPLETE' }).waitFor()
  t.match(
    await output.textContent(), /^data: 1\nERR_POLARIS_INCOMPLETE/, 'what came first is there, and no end is pretended'
  )

  const seen = meddler.seen().toString('latin1')
  for (const secret of ['Bearer secret', 'data: 1', 'filename', '/count', '/upload']) {
    t.notOk(seen.includes(secret), `no ${secret} on the wire`)
  }
  t.match(seen, /OPTIONS \/\.well-known\/ohttp-gateway/, 'it asked CORS first')
})

t.test('the fetch behaves in a browser as in Node', { skip: noChromium, timeout: 120_000 }, async t => {
  const workload = await startEcho(t, (request, response) => {
    if (request.url === '/redirect') return response.writeHead(307, { location: '/there' }).end()
    if (request.url === '/hang') return response.flushHeaders()
    const body: Buffer[] = []
    request.on('data', piece => body.push(piece)).on('end', () => {
      response.setHeader('x-own', 'yes')
      response.end(JSON.stringify(
        { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(body).toString() }
      ))
    })
  })
  const proxy = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, hpkePostQuantum: true }
  )
  const site = await startSite()
  t.teardown(() => site.close())
  const page = await openPage(t, site.url)

  const results = await page.evaluate(async proxyUrl => {
    const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
    const polarisFetch = createPolarisFetch({ baseURL: proxyUrl, fetch: globalThis.fetch })
    const results: Record<string, unknown> = {}
    const stream = () => new Blob(['from a stream']).stream()
    const bodies = {
      string: 'grüße',
      params: new URLSearchParams({ a: 'ü' }),
      blob: new Blob(['b'], { type: 'image/png' }),
      octets: new Uint8Array([65, 66]),
      stream: stream()
    }
    for (const [kind, body] of Object.entries(bodies)) {
      const response = await polarisFetch('/', { method: 'POST', body, duplex: 'half' } as RequestInit)
      const { headers, body: received } = await response.json() as Echo
      results[kind] = [response.headers.get('x-own'), received, headers['content-type'], headers['content-length']]
    }
    const ofRequest = await polarisFetch(
      new Request(`${proxyUrl}/r?q`, { method: 'PUT', body: 'x', headers: { 'x-page': '1' } })
    )
    results['request'] = [ofRequest.url, (await ofRequest.json() as Echo).headers['x-page']]
    const redirected = await polarisFetch(
      '/redirect', { method: 'POST', body: stream(), duplex: 'half' } as RequestInit
    )
    results['redirect'] = [redirected.url, redirected.redirected, (await redirected.json() as Echo).body]
    results['head'] = (await polarisFetch('/', { method: 'HEAD' })).body
    const code = (promise: Promise<unknown>) => promise.then(
      () => 'none', (error: { code?: string, name: string }) => error.code ?? error.name
    )
    results['elsewhere'] = await code(polarisFetch('https://other.example/'))
    results['unreachable'] = await code(createPolarisFetch({ baseURL: 'http://127.0.0.1:9' })('/'))
    const controller = new AbortController()
    const hanging = await polarisFetch('/hang', { signal: controller.signal })
    controller.abort(new DOMException('enough', 'TimeoutError'))
    results['abort'] = await hanging.text().catch((error: Error) => error.name)
    return results
  }, proxy.url)
  t.strictSame(results, {
    string: ['yes', 'grüße', 'text/plain;charset=UTF-8', '7'],
    params: ['yes', 'a=%C3%BC', 'application/x-www-form-urlencoded;charset=UTF-8', '8'],
    blob: ['yes', 'b', 'image/png', '1'],
    octets: ['yes', 'AB', undefined, '2'],
    stream: ['yes', 'from a stream', undefined, '13'],
    request: [`${proxy.url}/r?q`, '1'],
    redirect: [`${proxy.url}/there`, true, 'from a stream'],
    head: null,
    elsewhere: 'ERR_POLARIS_OTHER_ORIGIN',
    unreachable: 'ERR_POLARIS_KEYS_UNAVAILABLE',
    abort: 'TimeoutError'
  })

  const [kemId, hasMlKem] = await page.evaluate(async proxyUrl => {
    const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
    let kemId: number | undefined
    const underlying: typeof fetch = (input, init) => {
      if (init?.body instanceof Uint8Array) kemId = new DataView(init.body.buffer, init.body.byteOffset).getUint16(1)
      return fetch(input, init)
    }
    await createPolarisFetch({ baseURL: proxyUrl, fetch: underlying })('/')
    const supports = (SubtleCrypto as unknown as {
      supports?: (operation: string, algorithm: string) => boolean
    }).supports
    return [kemId, supports?.('encapsulateBits', 'ML-KEM-768') ?? false] as const
  }, proxy.url)
  t.equal(kemId, hasMlKem ? KEM_MLKEM768_X25519 : KEM_X25519, 'post-quantum where the browser can')

  const clock = await page.evaluate(async proxyUrl => {
    const { createPolarisFetch } = await import('/sdk.js' as string) as Sdk
    const polarisFetch = createPolarisFetch({ baseURL: proxyUrl })
    await polarisFetch('/')
    const { Date: RealDate } = globalThis
    globalThis.Date = class extends RealDate {
      constructor () { super(RealDate.now() - 600_000) }
    } as DateConstructor
    const error = await polarisFetch('/').catch((error: unknown) => error) as {
      code: string, clientTime: Date, gatewayTime?: Date
    }
    globalThis.Date = RealDate
    return [error.code, error.gatewayTime !== undefined && error.gatewayTime > error.clientTime]
  }, proxy.url)
  t.strictSame(clock, ['ERR_POLARIS_CLOCK', true], 'CORS lets the gateway\'s time be read')
})
