/** Bytes in whatever holds them, with Buffer and without. */
import t from 'tap'
import { createAxiosResponseInterceptor } from '../../../sdk/index.ts'
import { remember } from '../../../sdk/polaris-v1/axios/exchange.ts'
import type { AxiosResponseLike } from '../../../sdk/polaris-v1/axios/types.ts'
import { isArrayBuffer, toBuffer, toOctets, toText } from '../../../sdk/polaris-v1/octets.ts'

t.test('octets are taken from whatever holds them, and shared memory is copied', t => {
  const shared = new Uint8Array(new SharedArrayBuffer(4))
  shared.set([1, 2, 3, 4])
  for (const [data, expected] of [
    ['é', [0xc3, 0xa9]],
    [new Uint8Array([1, 2]).buffer, [1, 2]],
    [new Uint8Array([1, 2, 3]).subarray(1), [2, 3]],
    [new DataView(new Uint8Array([1, 2, 3]).buffer, 1, 1), [2]],
    [shared.subarray(1, 3), [2, 3]]
  ] as const) {
    t.same([...toOctets(data)], expected)
  }
  t.ok(toOctets(shared).buffer instanceof ArrayBuffer)
  t.ok(isArrayBuffer(new ArrayBuffer(1)) && !isArrayBuffer(shared.buffer) && !isArrayBuffer(null))
  t.end()
})

t.test('without Buffer there are plain octets, and text is UTF-8', t => {
  const { Buffer } = globalThis
  Reflect.deleteProperty(globalThis, 'Buffer')
  const octets = toBuffer(new Uint8Array([0xc3, 0xa9]))
  const text = toText(octets)
  globalThis.Buffer = Buffer
  t.equal(octets.constructor, Uint8Array)
  t.equal(text, 'é')
  t.equal(toText(octets, 'hex'), 'c3a9', 'with it, as Node decodes')
  t.end()
})

t.test('responses of an adapter that gives less than axios\'s own are treated as they are', async t => {
  const exchange = (validateStatus: (status: number) => boolean) => {
    const sent = { responseType: 'arraybuffer' }
    remember({
      given: { headers: {} as never, validateStatus, responseType: 'blob' },
      sent,
      sealedResponse: true,
      keyChanged: async () => false
    })
    return sent
  }
  const intercept = createAxiosResponseInterceptor({ polarisSDK: { decrypt: async () => new Uint8Array([1]) } })
  const response = (data: unknown): AxiosResponseLike => ({
    data, status: 200, headers: {}, config: { ...exchange(() => true), headers: {} as never }
  })
  t.equal(((await intercept(response(null))).data as Blob).size, 0)
  const { data } = await intercept(response('AAAA'))
  t.match(data, { size: 1, type: '' })
})
