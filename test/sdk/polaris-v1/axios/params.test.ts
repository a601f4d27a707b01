/** The axios interceptors, URLs and parameters: those that axios would request. */
import axios from 'axios'
import fc from 'fast-check'
import t from 'tap'
import { requestURL } from '../../../../sdk/polaris-v1/axios/url.ts'
import type { AxiosConfigLike } from '../../../../sdk/polaris-v1/axios/types.ts'

const base = 'https://proxy.test/root'

/** As axios requests it: a parsed URL, without fragment. */
function expected (config: object): string {
  const url = new URL(axios.getUri(config))
  url.hash = ''
  return url.href
}

t.test('URLs and query strings are those that axios would request', t => {
  const date = new Date(0)
  const cases: Array<[string, object]> = [
    ['absolute', { url: 'http://x.test/a?b=1' }],
    ['without path', { url: 'http://x.test' }],
    ['a fragment', { url: 'http://x.test/a?b=1#part', params: { c: 2 } }],
    ['a base', { baseURL: base, url: '/a' }],
    ['a base with slashes', { baseURL: `${base}//`, url: '//a'.slice(1) }],
    ['a base alone', { baseURL: base }],
    ['a base and an absolute URL', { baseURL: base, url: 'http://x.test/a' }],
    ['a base before an absolute URL', { baseURL: base, url: 'http://x.test/a', allowAbsoluteUrls: false }],
    ['dots and percent', { baseURL: base, url: '/a/../b%2Fc%zz/ü' }],
    ['scalars', { baseURL: base, params: { a: 1, b: 'x y+&=', c: true, d: date, e: null, f: undefined, g: '' } }],
    ['plain characters', { baseURL: base, params: { 'a:b$c,d': 'e:f$g,h[i]~(\')!*@' } }],
    ['arrays', { baseURL: base, params: { a: [1, 'x', null, date], 'b[]': [1, { c: 2 }], d: [] } }],
    ['nested', { baseURL: base, params: { a: { b: { c: [1, { d: 2 }] } }, e: [[1], [2]] } }],
    ['JSON', { baseURL: base, params: { 'a{}': { b: [1] } } }],
    [
      'JSON without its mark', { baseURL: base, params: { 'a{}': { b: [1] } }, paramsSerializer: { metaTokens: false } }
    ],
    ['indexes', { baseURL: base, params: { a: [1, 2] }, paramsSerializer: { indexes: true } }],
    ['no indexes', { baseURL: base, params: { a: [1, 2] }, paramsSerializer: { indexes: null } }],
    [
      'dots for brackets',
      { baseURL: base, params: { a: { b: [1, { c: 2 }] }, d: [3] }, paramsSerializer: { dots: true, indexes: true } }
    ],
    ['an encoder', {
      baseURL: base,
      params: { a: 'b c~' },
      paramsSerializer: { encode: (text: string, strict: (text: string) => string) => strict(text) }
    }],
    [
      'a serializer',
      { baseURL: base, params: { a: 1 }, paramsSerializer: { serialize: (params: object) => JSON.stringify(params) } }
    ],
    ['a query already there', { url: 'http://x.test/?a=1', params: { b: 2 } }],
    ['URLSearchParams', { baseURL: base, params: new URLSearchParams('a=1&a=2 3') }],
    ['objects with a string form', { baseURL: base, params: { a: new URL('http://y.test/'), b: new Map([[1, 2]]) } }],
    ['spaces around a name', { baseURL: base, params: { ' a ': 1 } }]
  ]
  for (const [name, config] of cases) t.equal(requestURL(config as AxiosConfigLike).href, expected(config), name)
  const serialize = (params: unknown) => `all=${JSON.stringify(params)}`
  t.equal(
    requestURL({ url: base, params: { a: 1 }, paramsSerializer: serialize } as unknown as AxiosConfigLike).search,
    '?all={%22a%22:1}', 'a function'
  )
  t.end()
})

t.test('also for any parameters', t => {
  const scalar = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.constant(undefined))
  const name = fc.oneof(fc.string({ minLength: 1, maxLength: 5 }), fc.constantFrom('a', 'b[]', 'c{}', 'd.e'))
    .filter(name => !['__proto__', 'constructor', 'prototype'].includes(name.trim()))
  const { value } = fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 3 }, scalar, fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(name, tie('value'), { maxKeys: 3, noNullPrototype: true })
    )
  }))
  fc.assert(fc.property(fc.dictionary(
    name, value, { maxKeys: 4, noNullPrototype: true }
  ), fc.constantFrom(undefined, true, false, null), fc.boolean(),
  (params, indexes, dots) => {
    const config = { url: base, params, paramsSerializer: { dots, ...(indexes !== undefined && { indexes }) } }
    return requestURL(config as unknown as AxiosConfigLike).href === expected(config)
  }), { numRuns: 500 })
  t.end()
})

t.test('what cannot be requested encrypted is refused before anything is sent', t => {
  const deep = { a: {} }
  for (let i = 0, inner: Record<string, unknown> = deep.a; i < 200; i++) inner = inner.a = {}
  const cases: Record<string, object> = {
    'a relative URL': { url: '/a' },
    'no URL': {},
    'another protocol': { url: 'ftp://x.test/' },
    'a data URL': { url: 'data:,x' },
    'no host': { url: 'http://' },
    'a visitor': { url: base, params: { a: 1 }, paramsSerializer: { visitor: () => true } },
    'params that are a string': { url: base, params: 'a=1' },
    octets: { url: base, params: { a: new Uint8Array(1) } },
    'nesting too deep': { url: base, params: deep }
  }
  for (const [name, config] of Object.entries(cases)) {
    t.throws(
      () => requestURL(config as AxiosConfigLike),
      { name: 'UnsupportedRequestError', code: 'ERR_POLARIS_UNSUPPORTED_REQUEST' }, name
    )
  }
  t.end()
})

t.test('in a browser, URLs are relative to the page', t => {
  Object.defineProperty(globalThis, 'location', { value: { href: 'https://page.test/app/' }, configurable: true })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'location'))
  t.equal(requestURL({ url: 'api?x=1' } as AxiosConfigLike).href, 'https://page.test/app/api?x=1')
  t.end()
})
