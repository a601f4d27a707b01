/** Redirects are followed as fetch follows them, each step encrypted anew, and never out of the encryption. */
import { inspect } from 'node:util'
import t from 'tap'
import { createPolarisFetch, RedirectError } from '../../../../sdk/index.ts'
import { startProxy } from '../../../fixtures/proxy.ts'
import { startWorkload } from '../../../fixtures/workload.ts'

const received: {
  method: string, url: string, body: string, type: string | undefined, authorization: string | undefined
}[] = []
/** `/redirect/<status>?<location>` redirects there. */
const workload = await startWorkload(t, async (request, response) => {
  const body: Buffer[] = []
  for await (const piece of request) body.push(piece)
  const { method = '', url = '', headers } = request
  received.push({
    method,
    url,
    body: Buffer.concat(body).toString(),
    type: headers['content-type'],
    authorization: headers.authorization
  })
  const [, status, location] = /^\/(?:sub\/)?redirect\/(\d+)(?:\/)?(?:\?(.*))?$/.exec(url) ?? []
  if (status === undefined) return response.end('arrived')
  response.writeHead(
    Number(status), location === undefined ? {} : { location: location === 'loop' ? url : decodeURIComponent(location) }
  )
  response.end('a body of the redirect')
})

async function start (contextRoot: string) {
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true, contextRoot })
  const baseURL = proxy.url + contextRoot
  return { baseURL, polarisFetch: createPolarisFetch({ baseURL }) }
}
const { baseURL, polarisFetch } = await start('')
t.beforeEach(() => { received.length = 0 })

t.test('method and body change as the Fetch Standard says', async t => {
  const cases: [status: number, method: string, then: string, body: boolean][] = [
    [301, 'POST', 'GET', false], [302, 'POST', 'GET', false], [303, 'POST', 'GET', false], [307, 'POST', 'POST', true],
    [308, 'POST', 'POST', true],
    [301, 'PUT', 'PUT', true], [302, 'PUT', 'PUT', true], [303, 'PUT', 'GET', false], [307, 'PUT', 'PUT', true],
    [308, 'PUT', 'PUT', true]
  ]
  for (const [status, method, then, body] of cases) {
    const response = await polarisFetch(
      `/redirect/${status}?/there`,
      { method, body: 'the body', headers: { authorization: 'Bearer x', 'content-language': 'de' } }
    )
    t.match(response, { status: 200, redirected: true, url: `${baseURL}/there` }, `${status} ${method}`)
    t.equal(await response.text(), 'arrived')
    t.match(received.pop(), {
      method: then,
      url: '/there',
      body: body ? 'the body' : '',
      type: body ? 'text/plain;charset=UTF-8' : undefined,
      authorization: 'Bearer x'
    })
  }
  for (const status of [301, 302, 303, 307, 308]) {
    for (const method of ['GET', 'HEAD']) {
      await polarisFetch(`/redirect/${status}?/there`, { method })
      t.match(received.pop(), { method, url: '/there' })
    }
  }
})

t.test('relative to the workload\'s root, also where it does not know its prefix; absolute URLs keep ' +
  'theirs', async t => {
  for (const contextRoot of ['', '/prefix']) {
    const { baseURL, polarisFetch } = await start(contextRoot)
    for (const [location, path] of [
      ['/login?x=1', '/login?x=1'], ['sibling', '/sub/redirect/302/sibling'], ['../../up', '/sub/up'],
      [`${baseURL}/absolute`, '/absolute'], ['/fragment#here', '/fragment']
    ] as const) {
      const response = await polarisFetch(`/sub/redirect/302/?${encodeURIComponent(location)}`)
      t.equal(received.at(-1)?.url, path, `${location} below ${baseURL}`)
      t.equal(response.url, baseURL + path)
    }
  }
})

t.test('20 are followed, not 21', async t => {
  await t.rejects(polarisFetch('/redirect/302?loop'), { code: 'ERR_POLARIS_REDIRECT', message: /more than 20/ })
  t.equal(received.length, 21)
})

t.test('a redirect out of the encryption is refused', async t => {
  for (const location of [
    'https://other.example/', '//other.example/x', `${baseURL.replace('http:', 'https:')}/`, 'http://[',
    'data:text/plain,x', `${baseURL.replace('//', '//user:password@')}/`
  ]) {
    await t.rejects(polarisFetch(`/redirect/302?${encodeURIComponent(location)}`), {
      name: 'RedirectError',
      code: 'ERR_POLARIS_REDIRECT',
      message: /redirect: 'manual'/,
      location: new TextDecoder('latin1').decode(Buffer.from(location))
    }, location)
  }
  const { baseURL: prefixed, polarisFetch: below } = await start('/prefix')
  await t.rejects(
    below(`/redirect/302?${encodeURIComponent(prefixed.replace('/prefix', '/other'))}`),
    { code: 'ERR_POLARIS_REDIRECT' }
  )
})

t.test('the error names the place and what to do, and keeps what was encrypted out of logs', async t => {
  const location = 'https://inner.example:8000/items?token=secret'
  const error = await polarisFetch(
    `/redirect/307?${encodeURIComponent(location)}`, { method: 'POST', body: 'x' }
  ).catch((error: unknown) => error)
  t.type(error, RedirectError)
  const { message } = error as RedirectError
  t.match(message, /redirects to https:\/\/inner\.example:8000, which is not below http:\/\/127\.0\.0\.1:\d+/)
  t.match(message, /have it redirect to paths/)
  t.notMatch(message + JSON.stringify(error) + inspect(error), /secret/)
  t.equal((error as RedirectError).location, location, 'code that asks for it gets all of it')
})

t.test('behind a load balancer that ends TLS, the workload\'s http is the same place', async t => {
  // The balancer is a fetch that takes the s out, and the workload is told the public host.
  const { port } = new URL(baseURL)
  const throughBalancer: typeof fetch = (input, init) => fetch(
    String(input).replace('https://app.example', `http://127.0.0.1:${port}`), init
  )
  const send = createPolarisFetch({ baseURL: 'https://app.example', fetch: throughBalancer })
  for (const location of [
    'http://app.example/items/', 'http://app.example:443/items/', 'https://app.example/items/', '//app.example/items/'
  ]) {
    const response = await send(`/redirect/307?${encodeURIComponent(location)}`, { method: 'POST', body: 'kept' })
    t.match(response, { status: 200, redirected: true, url: 'https://app.example/items/' }, location)
    t.match(received.pop(), { method: 'POST', url: '/items/', body: 'kept' })
  }
  for (const location of ['http://app.example:8080/', 'http://other.example/']) {
    await t.rejects(send(`/redirect/307?${encodeURIComponent(location)}`), { code: 'ERR_POLARIS_REDIRECT' })
  }
})

t.test('a Location in UTF-8 is read as such, as browsers do', async t => {
  const response = await polarisFetch(
    `/redirect/302?${encodeURIComponent(Buffer.from('/日本/é?q=ü').toString('latin1'))}`
  )
  t.equal(response.url, `${baseURL}/%E6%97%A5%E6%9C%AC/%C3%A9?q=%C3%BC`)
  t.equal(received.at(-1)?.url, '/%E6%97%A5%E6%9C%AC/%C3%A9?q=%C3%BC')
})

t.test('a stream that was sent is not sent again', async t => {
  const stream = () => ({ method: 'POST', body: ReadableStream.from([Buffer.from('once')]), duplex: 'half' as const })
  await t.rejects(polarisFetch('/redirect/307?/there', stream()), { code: 'ERR_POLARIS_REDIRECT', message: /stream/ })
  t.equal((await polarisFetch('/redirect/303?/there', stream())).status, 200, 'it needs not be')
  const blob = new Blob([new Uint8Array(2_000_000)])
  t.equal((await polarisFetch('/redirect/307?/there', { method: 'POST', body: blob })).status, 200, 'a Blob can be')
  t.equal(received.at(-1)?.body.length, blob.size)
})

t.test('redirect: manual gives the redirect, redirect: error throws', async t => {
  const response = await polarisFetch('/redirect/302?/there', { redirect: 'manual' })
  t.match(response, { status: 302, redirected: false, url: `${baseURL}/redirect/302?/there` })
  t.equal(response.headers.get('location'), '/there')
  t.equal(await response.text(), 'a body of the redirect')
  await t.rejects(polarisFetch('/redirect/302?/there', { redirect: 'error' }), { code: 'ERR_POLARIS_REDIRECT' })
})

t.test('what only looks like a redirect is a response', async t => {
  for (const path of ['/redirect/302', '/redirect/300?/there', '/redirect/304?/there']) {
    t.match(await polarisFetch(path), { status: Number(/\d+/.exec(path)?.[0]), redirected: false })
  }
})
