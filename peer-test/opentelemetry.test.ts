/**
 * Spans, received with the official protobuf definitions of OpenTelemetry: what they are, and that nothing else is in
 * them.
 */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { encapsulate, fetchKey, requestHead } from '../test/fixtures/ohttp-client.ts'
import { freePort } from '../test/fixtures/process.ts'
import { startProxy } from '../test/fixtures/proxy.ts'
import { startWorkload } from '../test/fixtures/workload.ts'
import { folder, missing, pythonWithPackages, startPeer } from './fixtures/peers.ts'

interface Attribute { key: string, value: { stringValue?: string } }
interface Span {
  name: string,
  traceId: string,
  spanId: string,
  parentSpanId?: string,
  kind: string,
  startTimeUnixNano: string,
  endTimeUnixNano: string,
  attributes?: Attribute[],
  status?: {
    code?: string
  },
  events?: unknown[],
  links?: unknown[]
}
interface Received {
  resourceSpans: {
    resource: { attributes: Attribute[] }, scopeSpans: { scope: { name: string }, spans: Span[] }[]
  }[]
}

const attributesOf = (attributes: Attribute[] = []) => Object.fromEntries(
  attributes.map(({ key, value }) => [key, value.stringValue])
)

t.test('each exchange is a trace of its own, with its stages', {
  skip: missing('python3', '-m', 'venv', '--help'), timeout: 150_000
}, async t => {
  const port = await freePort()
  const collector = await startPeer(
    t, port, pythonWithPackages(), [join(folder, 'python/otlp_receiver.py'), String(port)]
  )
  const workload = await startWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url, otlpEndpoint: collector })
  const before = Date.now()
  for (const chunked of [false, true]) {
    const request = await encapsulate(
      await fetchKey(proxy.url), requestHead('POST', '/inside'), Buffer.from('inside'), { chunked }
    )
    const send = () => fetch(
      `${proxy.url}/.well-known/ohttp-gateway`,
      { method: 'POST', headers: { 'content-type': request.contentType }, body: request.message }
    )
    await request.open(await send())
    if (chunked) t.equal((await send()).status, 400, 'a replay')
  }
  await setTimeout(100)
  await proxy.close()

  const received = await (await fetch(collector)).json() as Received[]
  const resources = received.flatMap(({ resourceSpans }) => resourceSpans)
  for (const { resource } of resources) {
    t.match(attributesOf(resource.attributes), { 'service.name': 'polaris-secure-proxy', 'service.version': /^\d/ })
  }
  const spans = resources.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
  const roots = spans.filter(({ name }) => name === 'exchange')
  t.strictSame(roots.map(({ attributes }) => attributesOf(attributes)), [
    { 'polaris.protocol': 'ohttp', 'polaris.status_class': '2xx' },
    { 'polaris.protocol': 'ohttp-chunked', 'polaris.status_class': '2xx' },
    { 'polaris.protocol': 'ohttp-chunked', 'polaris.status_class': '4xx', 'polaris.problem': 'cannot-open' }
  ])
  t.equal(new Set(roots.map(({ traceId }) => traceId)).size, 3)
  for (const root of roots) {
    t.notOk(root.parentSpanId)
    t.equal(root.kind, 'SPAN_KIND_SERVER')
    t.ok(Number(root.startTimeUnixNano) / 1e6 >= before - 1 && Number(root.endTimeUnixNano) / 1e6 <= Date.now() + 1)
    const children = spans.filter(({ traceId, spanId }) => traceId === root.traceId && spanId !== root.spanId)
    const refused = 'polaris.problem' in attributesOf(root.attributes)
    t.strictSame(children.map(({ name }) => name), refused ? [] : ['open', 'workload', 'seal'])
    for (const child of children) {
      t.equal(child.parentSpanId, root.spanId)
      t.ok(Number(child.startTimeUnixNano) <= Number(child.endTimeUnixNano))
    }
  }
  // All that there is to a span.
  const members = new Set(spans.flatMap(span => Object.keys(span)))
  for (const member of members) {
    t.match(
      member, /^(?:name|traceId|spanId|parentSpanId|kind|flags|startTimeUnixNano|endTimeUnixNano|attributes|status)$/,
      member
    )
  }
  const keys = new Set(spans.flatMap(({ attributes = [] }) => attributes.map(({ key }) => key)))
  t.strictSame([...keys].sort(), ['polaris.problem', 'polaris.protocol', 'polaris.status_class'])
})
