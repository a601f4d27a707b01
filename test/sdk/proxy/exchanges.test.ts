// polaris proxy as a program that knows nothing of encryption sees it: what crosses, in both directions, and how.
import t from 'tap'
import { startWire } from '../../fixtures/wire.ts'
import { runLocalProxy, send, startChain } from '../../fixtures/local-proxy.ts'

t.setTimeout(120_000)

interface Echo { method: string, url: string, headers: Record<string, string>, body: string }

t.test('what any program sends is encrypted, and reaches the workload as it was sent', async t => {
  const { local, proxy, policy } = await startChain(t)
  const wire = await startWire(proxy.url)
  t.teardown(() => wire.close())
  const watched = await runLocalProxy(t, [wire.url, '--policy', policy])
  for (const { url } of [local, watched]) {
    const { status, body, headers } = await send(`${url}/v1/chat?user=4711`, { method: 'POST', headers: { authorization: 'Bearer top-secret', 'content-type': 'text/plain' }, body: 'the question' })
    t.equal(status, 200)
    t.equal(headers['polaris-verified'], 'no', 'simulated evidence proves nothing')
    const echo = JSON.parse(body.toString()) as Echo
    t.match(echo, { method: 'POST', url: '/v1/chat?user=4711', headers: { authorization: 'Bearer top-secret', 'content-type': 'text/plain', 'content-length': '12' } })
    t.equal(Buffer.from(echo.body, 'base64').toString(), 'the question')
  }
  const seen = Buffer.concat([wire.sent(), wire.received()]).toString('latin1')
  t.match(seen, /POST \/\.well-known\/ohttp-gateway/)
  t.notMatch(seen, /4711|top-secret|the question/)
})
