/** What an authority may send: it is read or refused, whatever was done to it. Names and addresses as ordered. */
import fc from 'fast-check'
import t from 'tap'
import { RemoteError } from '../../../../lib/remote/error.ts'
import { secondsOf } from '../../../../lib/tls/acme/client/failures.ts'
import { identifiersOf, serverNameOf } from '../../../../lib/tls/acme/client/identifiers.ts'
import {
  parseAuthorization, parseDirectory, parseOrder, parseProblem, urlOf
} from '../../../../lib/tls/acme/client/messages.ts'

const origin = 'https://ca.example'
const url = `${origin}/x`
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const order = { status: 'valid', authorizations: [url], finalize: url, certificate: url, error: { type: 'x' } }
const authorization = {
  status: 'pending',
  identifier: { type: 'dns', value: 'A.example' },
  challenges: [{ type: 'http-01', url, token: 'a'.repeat(22), error: { detail: 'x' } }, { type: 'other' }]
}
const directory = { newNonce: url, newAccount: url, newOrder: url, meta: { termsOfService: url } }
const parsers = [
  [parseDirectory, directory], [parseOrder, order], [parseAuthorization, authorization]
] as const

/** It is refused as what cannot be used, and in no other way. */
function readOrRefused (parse: (body: Uint8Array, origin: string) => unknown, body: Uint8Array): boolean {
  try {
    parse(body, origin)
    return true
  } catch (error) {
    if (!(error instanceof RemoteError) || error.providerCode !== 'MALFORMED') throw error
    return false
  }
}

t.test('each message as it should be', async t => {
  t.match(parseDirectory(bytes(directory), origin), { hasTerms: true, needsBinding: false })
  t.match(parseOrder(bytes(order), origin), { status: 'valid', problem: { code: 'unknown', detail: '' } })
  t.match(parseAuthorization(bytes(authorization), origin), {
    identifier: { value: 'a.example' }, challenges: [{ type: 'http-01', problem: { detail: 'x' } }]
  })
})

t.test('cut off anywhere, it is refused; changed anyhow, it is read or refused', async t => {
  for (const [parse, message] of parsers) {
    const whole = bytes(message)
    for (let length = 0; length < whole.length; length++) {
      if (readOrRefused(parse, whole.subarray(0, length))) t.fail(`${parse.name} reads ${length} bytes`)
    }
    fc.assert(fc.property(fc.nat(whole.length - 1), fc.nat(255), (i, byte) => {
      const changed = Buffer.from(whole)
      changed[i] = byte
      readOrRefused(parse, changed)
    }), { numRuns: 500 })
    fc.assert(fc.property(fc.json(), json => { readOrRefused(parse, Buffer.from(json)) }), { numRuns: 200 })
    for (const name of Object.keys(message)) {
      for (const value of [null, 1, [], {}, 'x', [[]], [null], [1]]) {
        readOrRefused(parse, bytes({ ...message, [name]: value }))
      }
    }
  }
  fc.assert(fc.property(fc.uint8Array(), body => { parseProblem(body) }))
  t.pass('none of it throws anything else')
})

t.test('what is wrong with one part is refused', async t => {
  const wrongOrder = [
    { status: 'done' }, { authorizations: [] }, { authorizations: Array.from({ length: 33 }, () => url) },
    { finalize: 'https://other.example/' }, { certificate: 'http://ca.example/x' }, { certificate: 7 }
  ]
  for (const wrong of wrongOrder) {
    t.notOk(readOrRefused(parseOrder, bytes({ ...order, ...wrong })), JSON.stringify(wrong))
  }
  for (const token of ['a'.repeat(21), 'a'.repeat(129), '../'.repeat(10), `${'a'.repeat(30)}\n`, 7, null]) {
    const challenges = [{ type: 'http-01', url, token }]
    t.notOk(readOrRefused(parseAuthorization, bytes({ ...authorization, challenges })), JSON.stringify(token))
  }
  const long = `${origin}/${'a'.repeat(2048)}`
  const wrongUrls = [long, `${origin}:8443/`, 'https://u@ca.example/', 'https://u:p@ca.example/', '/x', '', undefined]
  for (const wrong of wrongUrls) {
    t.throws(() => urlOf(wrong, origin), { code: 'ERR_REMOTE' })
  }
})

t.test('problems are for the log: one line, printable, not long', async t => {
  const { code, detail } = parseProblem(bytes({
    type: 'urn:ietf:params:acme:error:rateLimited', detail: `a\r\n{"level":60}\u202e${'x'.repeat(1000)}`
  }))
  t.equal(code, 'rateLimited')
  t.match(detail, /^[\x20-\x7e]{1,300}$/)
  for (const type of ['rateLimited', 'urn:ietf:params:acme:error:', 'urn:ietf:params:acme:error:a b', 7]) {
    t.equal(parseProblem(bytes({ type })).code, 'unknown', String(type))
  }
})

t.test('how long an authority asks to be left alone', async t => {
  const now = Date.UTC(2026, 0, 1)
  for (const [header, seconds] of [
    ['1', 1], ['0', undefined], ['-1', undefined], ['86401', 86_400], ['999999999', 86_400], ['1e3', undefined],
    ['soon', undefined], ['', undefined], ['Thu, 01 Jan 2026 00:01:00 GMT', 60],
    ['Wed, 31 Dec 2025 00:00:00 GMT', undefined],
    ['Fri, 01 Jan 2027 00:00:00 GMT', 86_400]
  ] as const) t.equal(secondsOf({ 'retry-after': header }, now), seconds, header)
  t.equal(secondsOf({}), undefined)
})

t.test('names and addresses, and what an authority asks for', async t => {
  t.same(identifiersOf(['A.example', 'a.example', '192.0.2.7', '2001:DB8:0::1']), [
    { type: 'dns', value: 'a.example' }, { type: 'ip', value: '192.0.2.7' }, { type: 'ip', value: '2001:db8::1' }
  ])
  for (const [name, serverName] of [
    ['a.example', 'a.example'],
    ['192.0.2.7', '7.2.0.192.in-addr.arpa'],
    ['2001:db8::1', '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa'],
    ['::', `${'0.'.repeat(32)}ip6.arpa`],
    ['1:2:3:4:5:6:7:8', '8.0.0.0.7.0.0.0.6.0.0.0.5.0.0.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.ip6.arpa']
  ] as const) t.same(identifiersOf([name]).map(serverNameOf), [serverName])
})
