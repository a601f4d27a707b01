// The Confidential Space attester against a Unix socket that answers as the launcher does, and as it should not.
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import t from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { googleConfidentialSpace } from '../../../../lib/platforms/google/confidential-space.ts'
import { localService, unsignedToken } from '../../../fixtures/local-service.ts'
import type { Answer } from '../../../fixtures/local-service.ts'

const preimage = Buffer.from('pre-image')
const binding = createHash('sha256').update(preimage).digest()
const nonce = binding.toString('base64url')
const inAnHour = Math.floor(Date.now() / 1000) + 3600
const token = unsignedToken({ eat_nonce: nonce, exp: inAnHour })

const launcher = await localService(
  'unix', response => response.setHeader('content-type', 'text/html; charset=utf-8').end(`${token}\n`)
)
t.teardown(() => launcher.close())

t.test('the launcher is asked for a token with the binding as its nonce; the token comes as text/html', async t => {
  const attester = googleConfidentialSpace({ audience: 'polaris', socketPath: launcher.socketPath })
  const evidence = await attester.evidence({ preimage, binding })
  t.same(evidence, {
    tee: 'google-confidential-space',
    evidence: [['application/eat+jwt', token]],
    endorsements: [],
    expiresAt: new Date(inAnHour * 1000)
  })
  const [request] = launcher.requests
  t.equal(request?.method, 'POST')
  t.equal(request?.url, '/v1/token')
  t.equal(request?.headers['content-type'], 'application/json')
  t.same(JSON.parse(request?.body ?? ''), { audience: 'polaris', token_type: 'OIDC', nonces: [nonce] })
})

const odd: Array<[name: string, transient: boolean, answer: Answer]> = [
  [
    '400 in plain text', false,
    response => response.writeHead(400, { 'content-type': 'text/plain' }).end(`audience ${token}`)
  ],
  ['429', true, response => response.writeHead(429).end()],
  ['500 in plain text', true, response => response.writeHead(500).end('failed to get token')],
  ['an empty body', true, response => response.end()],
  ['an error with 200', true, response => response.end('verifier unreachable')],
  ['a token without expiry', true, response => response.end(unsignedToken({ eat_nonce: nonce }))],
  [
    'a token that expires in a moment', true,
    response => response.end(unsignedToken({ eat_nonce: nonce, exp: Date.now() / 1000 + 59 }))
  ],
  ['a token for another nonce', true, response => response.end(unsignedToken({ eat_nonce: 'x', exp: inAnHour }))],
  [
    'a token for several nonces', true,
    response => response.end(unsignedToken({ eat_nonce: [nonce, 'another-nonce'], exp: inAnHour }))
  ],
  ['a truncated body', true, response => {
    response.writeHead(200, { 'content-length': token.length }).write(
      token.slice(0, -10), () => response.destroy()
    )
  }],
  ['a truncated chunked body', true, response => { response.write(token.slice(0, 10), () => response.destroy()) }],
  ['a reset', true, response => response.destroy()],
  ['too much', true, response => response.end('x'.repeat(300 * 1024))],
  ['headers that never come', true, () => undefined],
  ['a body that never ends', true, response => response.write('x')]
]
for (const [name, transient, answer] of odd) {
  const howLong = transient ? 'for now' : 'for good'
  t.test(`${name}: the attempt fails in bounded time, ${howLong}, and repeats nothing of the answer`, async t => {
    launcher.answer = answer
    const attester = googleConfidentialSpace({ audience: 'polaris', socketPath: launcher.socketPath, timeoutMs: 500 })
    const error = await attester.evidence({ preimage, binding }).catch((error: unknown) => error)
    t.type(error, RemoteError)
    t.match(error, { code: 'ERR_REMOTE', transient })
    t.notMatch((error as Error).message, /eyJ|audience|verifier/)
  })
}

t.test('a launcher that is not there is a failure for now', async t => {
  const attester = googleConfidentialSpace(
    { audience: 'polaris', socketPath: join(launcher.socketPath, '..', 'missing.sock') }
  )
  await t.rejects(attester.evidence({ preimage, binding }), { code: 'ERR_REMOTE', transient: true, message: /ENOENT/ })
})

t.test('the caller can end the attempt', async t => {
  launcher.answer = () => controller.abort()
  const controller = new AbortController()
  const attester = googleConfidentialSpace({ audience: 'polaris', socketPath: launcher.socketPath })
  await t.rejects(attester.evidence({ preimage, binding, signal: controller.signal }), { code: 'ERR_REMOTE' })
})

t.test('an audience under which the token would be a credential is refused', async t => {
  for (const audience of [
    'https://sts.googleapis.com', '//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p',
    'https://STS.GoogleAPIs.com/'
  ]) {
    t.throws(() => googleConfidentialSpace({ audience }), TypeError)
  }
})
