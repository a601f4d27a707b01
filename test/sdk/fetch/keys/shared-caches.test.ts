/**
 * A cache in front of the proxy keeps the key resource beyond a restart, and pays no regard to what requests ask of it.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Test } from 'tap'
import { createPolarisFetch } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const workload = await startWorkload(t)
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }

/**
 * As nginx's proxy_cache with its defaults: by URL with query, for ten minutes, whatever the request's Cache-Control
 * says.
 */
async function startCache (t: Test, origin: () => string) {
  const stored = new Map<string, { status: number, headers: Headers, body: Buffer }>()
  let hits = 0
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request
    const kept = method === 'GET' ? stored.get(url) : undefined
    if (kept !== undefined) hits++
    const answer = kept ?? await forward(method, url, request)
    if (method === 'GET' && answer.status === 200) stored.set(url, answer)
    response.writeHead(answer.status, Object.fromEntries(
      [...answer.headers].filter(([name]) => !/^(?:connection|keep-alive|transfer-encoding|content-length)$/.test(name))
    )).end(answer.body)
  })
  async function forward (
    method: string, url: string, request: AsyncIterable<Buffer> & { headers: NodeJS.Dict<string | string[]> }
  ) {
    const body: Buffer[] = []
    for await (const piece of request) body.push(piece)
    const headers = Object.fromEntries(Object.entries(request.headers).filter(
      ([name]) => !/^(?:host|connection|content-length|transfer-encoding|expect)$/.test(name)
    )) as Record<string, string>
    const response = await fetch(
      origin() + url, { method, headers, ...body.length > 0 && { body: Buffer.concat(body) } }
    )
    return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
  }
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, hits: () => hits }
}

for (const protocol of ['ohttp', 'polaris-v1'] as const) {
  t.test(`${protocol}: one refetch gets past the cache`, async t => {
    let origin = (await startProxy(t, config)).url
    const cache = await startCache(t, () => origin)
    const first = createPolarisFetch({ baseURL: cache.url, protocol })
    t.equal((await first('/')).status, 200)

    origin = (await startProxy(t, config)).url
    // A client that starts now, and one that has been there: both learn of the new key from the first refusal.
    for (const polarisFetch of [first, createPolarisFetch({ baseURL: cache.url, protocol })]) {
      const statuses = []
      // OHTTP sends what was refused again by itself; the legacy protocol leaves that to the caller.
      for (let i = 0; i < 3; i++) {
        statuses.push(await polarisFetch('/', { method: 'POST', body: 'x' }).then(
          ({ status }) => status, (error: { code: string }) => error.code
        ))
      }
      t.strictSame(statuses.slice(1), [200, 200])
      if (protocol === 'polaris-v1') t.equal(statuses[0], 'ERR_POLARIS_KEY_REFUSED')
    }
    t.ok(cache.hits() >= 1, 'the second client was given the old key by the cache')
  })
}
