/** CORS: preflights are answered, everything else is the workload's. */
import t from 'tap'
import { startModes } from '../../fixtures/modes.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { valuesOf } from '../../fixtures/raw-response.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const origin = 'https://app.example.com'
const preflight = {
  origin, 'access-control-request-method': 'PUT', 'access-control-request-headers': 'polaris-url, x-y'
}

t.test('a preflight is answered for any origin by default, and not forwarded', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  for (const path of ['/x', '/polaris-container/publicKey']) {
    const { status, headers } = await fetch(
      url + path, { method: 'OPTIONS', headers: { ...preflight, 'access-control-request-private-network': 'true' } }
    )
    t.equal(status, 204)
    t.equal(headers.get('access-control-allow-origin'), '*')
    t.match(headers.get('access-control-allow-methods'), /PUT/)
    t.equal(headers.get('access-control-allow-headers'), 'polaris-url, x-y')
    t.equal(headers.get('access-control-allow-private-network'), 'true')
  }
  t.same(workload.received, [])
})

t.test('with a list, the origins on it are allowed by name and all others not', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, corsOrigin: `https://other.example, ${origin}` })
  const allowed = await fetch(url, { method: 'OPTIONS', headers: preflight })
  t.equal(allowed.status, 204)
  t.equal(allowed.headers.get('access-control-allow-origin'), origin)
  t.match(allowed.headers.get('vary'), /Origin/i)

  const simple = await fetch(url, { headers: { origin } })
  t.equal(simple.headers.get('access-control-allow-origin'), origin)
  t.equal(simple.headers.get('timing-allow-origin'), origin)
  t.equal(simple.headers.get('access-control-expose-headers'), '*')
  t.match(simple.headers.get('vary'), /Origin/i)

  const stranger = await fetch(url, { headers: { origin: 'https://evil.example' } })
  t.notOk(stranger.headers.has('access-control-allow-origin'))
  t.notOk(stranger.headers.has('timing-allow-origin'))
  t.match(stranger.headers.get('vary'), /Origin/i)
})

t.test('an OPTIONS request that is no preflight is the workload\'s', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  for (const headers of [{}, { origin }, { 'access-control-request-method': 'PUT' }]) {
    t.equal((await fetch(url, { method: 'OPTIONS', headers: headers as Record<string, string> })).status, 200)
  }
  t.equal(workload.received.length, 3)
})

const itsOwn = {
  'access-control-allow-origin': '*',
  'access-control-allow-credentials': 'true',
  'timing-allow-origin': '*',
  'access-control-expose-headers': 'x-a',
  vary: 'accept-language'
}

t.test('by default the workload\'s own CORS headers win', async t => {
  const workload = await startWorkload(t, (_request, response) => {
    response.writeHead(200, { ...itsOwn, 'access-control-allow-origin': 'https://its.own' }).end('ok')
  })
  for (const mode of (await startModes(t, workload.url)).slice(1, 4)) {
    const { outer } = await mode.send({}, [['origin', origin]])
    t.same(valuesOf(outer.fields, 'access-control-allow-origin'), ['https://its.own'], mode.name)
    t.same(valuesOf(outer.fields, 'vary'), ['accept-language'])
  }
})

t.test('origins that the operator names take the place of the workload\'s, in every mode', async t => {
  const workload = await startWorkload(t, (_request, response) => { response.writeHead(200, itsOwn).end('ok') })
  for (const mode of (await startModes(t, workload.url, { corsOrigin: origin })).slice(1)) {
    for (const [from, allowed] of [[origin, true], ['https://evil.example', false], [undefined, false]] as const) {
      const { outer, fields } = await mode.send({}, from === undefined ? [] : [['origin', from]])
      t.same(valuesOf(outer.fields, 'access-control-allow-origin'), allowed ? [origin] : [], `${mode.name}, ${from}`)
      t.same(valuesOf(outer.fields, 'timing-allow-origin'), allowed ? [origin] : [])
      if (!allowed) t.notOk(outer.fields.some(([name]) => name.startsWith('access-control-')))
      if (mode.name.includes('OHTTP')) {
        t.same(
          valuesOf(fields, 'access-control-allow-origin'), ['*'], 'inside, nobody goes by it'
        )
      } else t.match(valuesOf(outer.fields, 'vary').join(), /accept-language, Origin/)
    }
  }
})

t.test('errors and sealed responses can be read by browsers, too', async t => {
  const workload = await startWorkload(
    t, (_request, response) => { response.writeHead(200, { vary: 'cookie' }).end('ok') }
  )
  const { url } = await startProxy(
    t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, corsOrigin: origin }
  )
  const refused = await fetch(url, { headers: { origin } })
  t.equal(refused.status, 400)
  t.equal(refused.headers.get('access-control-allow-origin'), origin)

  const client = await v1Client(url)
  const { headers } = await client.request({ target: '/x' })
  const sealed = await fetch(url, { headers: { ...headers, origin } })
  t.equal(sealed.headers.get('access-control-allow-origin'), origin)
  t.equal(sealed.headers.get('vary'), 'cookie, Origin')
  t.equal((await client.open(sealed)).toString(), 'ok')
})

t.test('CORS can be turned off', async t => {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableCors: false })
  const response = await fetch(url, { method: 'OPTIONS', headers: preflight })
  t.equal(response.status, 200)
  t.notOk(response.headers.has('access-control-allow-origin'))
  t.equal(workload.received.length, 1)
})
