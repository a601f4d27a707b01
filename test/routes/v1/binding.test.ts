/** The binding rule: what an attacker can write outside must agree with what the client put inside. */
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import type { Test } from 'tap'
import type { ConfigInput } from '../../../lib/config/config.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { v1Client } from '../../fixtures/v1-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const both = { enableInputEncryption: true, enableOutputEncryption: true }

async function setUp (t: Test, config: ConfigInput = both) {
  const workload = await startWorkload(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, ...config })
  const client = await v1Client(url)
  const send = async (headers: Record<string, string>) => {
    const response = await fetch(url, { headers })
    return { status: response.status, type: response.headers.get('content-type'), text: await response.text() }
  }
  const refused = async (headers: Record<string, string>, message: string, type = 'cannot-open') => {
    const { status, text } = await send(headers)
    t.equal(status, 400, message)
    t.match(text, `urn:polaris-secure-proxy:problem:${type}`)
    t.same(workload.received, [])
  }
  return { workload, client, send, refused }
}

const encode = (pem: string | Buffer) => Buffer.from(pem).toString('base64')

t.test('a response key that was swapped on the way is refused', async t => {
  const { client, refused } = await setUp(t)
  const { headers } = await client.request({ target: '/x' })
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  await refused(
    { ...headers, 'polaris-response-public-key': encode(publicKey.export({ format: 'pem', type: 'spki' })) }, 'swapped'
  )
  const without = { ...headers }
  delete without['polaris-response-public-key']
  await refused(without, 'taken away', 'response-key-required')
})

t.test('a url that was swapped, taken away or added on the way is refused', async t => {
  const { client, send, refused, workload } = await setUp(t)
  const { headers } = await client.request({ target: '/x' })
  const other = await client.seal('/other')
  await refused({ ...headers, 'polaris-url': other }, 'swapped')
  const without = { ...headers }
  delete without['polaris-url']
  await refused(without, 'taken away')
  // A client that asked for `/` says nothing about a url inside, as old clients say nothing ever: it cannot be told.
  const { headers: root } = await client.request()
  t.equal((await send({ ...root, 'polaris-url': other })).status, 200)
  t.equal(workload.received.pop()?.url, '/other')
})

t.test('an unbound response key is refused, unless that is allowed', async t => {
  const strict = await setUp(t)
  const { headers } = await strict.client.request({ target: '/x', bound: false })
  await strict.refused(headers, 'unbound')

  const lax = await setUp(t, { ...both, v1AllowUnboundResponseKey: true })
  const { headers: unbound } = await lax.client.request({ target: '/x', bound: false })
  const { status, text } = await lax.send(unbound)
  t.equal(status, 200)
  t.match((await lax.client.open(text)).toString(), '"url":"/x"')

  const { headers: bound } = await lax.client.request({ target: '/x' })
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  t.equal((await lax.send(
    { ...bound, 'polaris-response-public-key': encode(publicKey.export({ format: 'pem', type: 'spki' })) }
  )).status, 400, 'a bound one must agree even so')
})

t.test('without output encryption no response key is needed, and one that is bound must agree', async t => {
  const { client, send } = await setUp(t, { enableInputEncryption: true })
  t.equal((await send((await client.request({ target: '/x', sealedResponse: false })).headers)).status, 200)
  const { headers } = await client.request({ target: '/x' })
  t.equal((await send(headers)).status, 200)
  t.equal((await send({ ...headers, 'polaris-response-public-key': 'x' })).status, 400)
})

t.test('the copies inside are found whatever their case, and are not forwarded', async t => {
  const { client, send, workload } = await setUp(t)
  const { headers } = await client.request({ target: '/x', bound: false })
  const inside = {
    'Polaris-Response-Public-Key': client.responseKey,
    'POLARIS-URL': headers['polaris-url'],
    'polaris-secure': 'x',
    'x-y': 'z'
  }
  t.equal((await send({ ...headers, 'polaris-secure': await client.seal(JSON.stringify(inside)) })).status, 200)
  const [received] = workload.received
  t.equal(received?.headers['x-y'], 'z')
  t.notOk(Object.keys(received?.headers ?? {}).some(name => name.startsWith('polaris-')))
})

t.test('header names can be configured', async t => {
  const { client, send, workload } = await setUp(
    t, { ...both, urlHeader: 'X-Url', secureHeader: 'X-Secure', responsePublicKeyHeader: 'X-Key' }
  )
  const url = await client.seal('/x')
  const secure = await client.seal(JSON.stringify({ 'x-key': client.responseKey, 'x-url': url }))
  const { status, text } = await send({ 'x-url': url, 'x-key': client.responseKey, 'x-secure': secure })
  t.equal(status, 200)
  t.match((await client.open(text)).toString(), '"url":"/x"')
  t.equal(workload.received.length, 1)
})

t.test('response keys that are not RSA of 2048 to 4096 bits in SPKI are refused', async t => {
  const { client, send, refused } = await setUp(t)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = { format: 'pem', type: 'spki' } as const
  const der = (hex: string) =>
    `-----BEGIN PUBLIC KEY-----\n${Buffer.from(hex, 'hex').toString('base64')}\n-----END PUBLIC KEY-----\n`
  // 16384 bits take minutes to generate and none to claim: any odd number will do for a modulus.
  const large = der(
    `30820822300d06092a864886f70d01010105000382080f003082080a02820801${'00'}${'ff'.repeat(2048)}0203010001`
  )
  const cases: Array<[string, string]> = [
    ['of 1024 bits', encode(small.publicKey.export(spki))],
    ['of 16384 bits', encode(large)],
    ['for PSS', encode(pss.publicKey.export(spki))],
    ['on a curve', encode(ec.publicKey.export(spki))],
    ['in PKCS#1', encode(rsa.publicKey.export({ format: 'pem', type: 'pkcs1' }))],
    ['in JWK', encode(JSON.stringify(rsa.publicKey.export({ format: 'jwk' })))],
    ['in DER without PEM', encode(rsa.publicKey.export({ format: 'der', type: 'spki' }))],
    ['private', encode(rsa.privateKey.export({ format: 'pem', type: 'pkcs8' }))],
    ['PEM that is not base64', rsa.publicKey.export(spki).toString().replaceAll('\n', '')],
    ['with another one behind', encode(`${rsa.publicKey.export(spki)}${rsa.publicKey.export(spki)}`)],
    ['that is cut short', encode(rsa.publicKey.export(spki).toString().replace(/.{8}\n-----END/, '\n-----END'))],
    ['that is garbage', encode('garbage')],
    ['that is nothing', '']
  ]
  for (const [name, key] of cases) {
    const secure = await client.seal(JSON.stringify({ 'polaris-response-public-key': key }))
    await refused({ 'polaris-response-public-key': key, 'polaris-secure': secure }, name)
  }
  const key = encode(rsa.publicKey.export(spki))
  const secure = await client.seal(JSON.stringify({ 'polaris-response-public-key': key }))
  t.equal(
    (await send({ 'polaris-response-public-key': key, 'polaris-secure': secure })).status, 200,
    'the same key as it should be'
  )
})
