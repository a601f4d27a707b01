// Device evidence from a real HTTP service: slow, huge, cut off, refusing, or for another nonce.
import { Readable } from 'node:stream'
import t from 'tap'
import { deviceCollector } from '../../../../lib/attestation/devices/index.ts'
import { deviceSource } from '../../../../lib/attestation/devices/source.ts'
import type { RemoteError } from '../../../../lib/remote/error.ts'
import { gpuSidecar, twoGpus } from '../../../fixtures/gpu-sidecar.ts'
import type { Sidecar } from '../../../fixtures/gpu-sidecar.ts'

const nonce = new Uint8Array(32).fill(0xab)
const hex = 'ab'.repeat(32)
const never = new AbortController().signal

const failure = (
  source: string, options: object = {}
) => deviceCollector({ source, timeoutMs: 30_000, ...options })(nonce, never).then(
  () => { throw new Error('it was accepted') },
  (error: unknown) => error as RemoteError
)

t.test('the nonce goes where the address says, else into the query', async t => {
  const sidecar = await gpuSidecar(t)
  for (const path of ['/evidence', '/evidence?arch=HOPPER', '/evidence?nonce={nonce}']) {
    const [[, value] = []] = await deviceCollector(
      { source: sidecar.url + path, timeoutMs: 30_000, count: 2 }
    )(nonce, never)
    t.match(JSON.parse(value ?? ''), { nonce: hex, arch: 'HOPPER' })
  }
  t.same(sidecar.asked.map(({ pathname, search }) => pathname + search), [
    `/evidence?nonce=${hex}`, `/evidence?arch=HOPPER&nonce=${hex}`, `/evidence?nonce=${hex}`
  ])
  t.match(deviceSource('http://localhost/{nonce}/evidence', hex), { url: { pathname: `/${hex}/evidence`, search: '' } })
})

t.test('a service that misbehaves is refused by its reason, with what to do', async t => {
  const sidecar = await gpuSidecar(t)
  const cases: ReadonlyArray<readonly [NonNullable<Sidecar['instead']>, object, object?]> = [
    [
      response => response.writeHead(503, { 'retry-after': '7' }).end(),
      { kind: 'transient', message: /answered 503$/, retryAfter: 7 }
    ],
    [response => response.writeHead(404).end('secret'), { kind: 'refused', message: /answered 404$/ }],
    [response => response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(), { message: /answered 302$/ }],
    [() => undefined, { kind: 'transient', message: /did not answer in time/ }, { timeoutMs: 300 }],
    [response => response.write('{'), { kind: 'transient', message: /did not answer in time/ }, { timeoutMs: 300 }],
    [response => response.destroy(), { kind: 'transient', message: /is unreachable/ }],
    [
      response => response.writeHead(200, { 'content-length': 100 }).write('{', () => response.destroy()),
      { kind: 'transient', message: /is unreachable/ }
    ],
    [response => Readable.from((function * () { for (;;) yield Buffer.alloc(65_536, 'x') })()).on(
      'error', () => undefined
    ).pipe(response), { message: /too long/ }],
    [response => response.end('secret'), { message: /is not JSON/ }],
    [
      response => response.end(JSON.stringify(twoGpus('cd'.repeat(32)))),
      { kind: 'transient', message: /another nonce/ }
    ],
    [
      (response, nonce) => response.end(JSON.stringify(twoGpus(nonce))),
      { kind: 'transient', message: /holds 2 devices, 8 are expected/ }, { count: 8 }
    ]
  ]
  for (const [instead, expected, options] of cases) {
    sidecar.instead = instead
    const error = await failure(sidecar.url, options)
    t.match(error, { name: 'RemoteError', ...expected })
    t.ok(error.advice.length > 0)
    t.notMatch(error.message, 'secret')
  }
})

t.test('a service that is not there is reported as such', async t => {
  t.match(
    await failure('http://127.0.0.1:9/evidence'), { kind: 'transient', message: /is unreachable \(ECONNREFUSED\)/ }
  )
})
