/** base64 as the protocols take it: read strictly, written at any length, in engines with and without its methods. */
import fc from 'fast-check'
import t from 'tap'
import { decodeBase64, encodeBase64 } from '../../../lib/protocols/base64.ts'

t.test('what is written is what Buffer writes, and reads back, at every length around a slice', t => {
  for (const length of [0, 1, 2, 3, 4, 0x6000 - 1, 0x6000, 0x6000 + 1, 0x12000 + 2]) {
    const octets = Uint8Array.from({ length }, (_, i) => i * 31)
    const text = encodeBase64(octets)
    t.equal(text, Buffer.from(octets).toString('base64'), `${length} octets`)
    t.same(decodeBase64(text), octets)
  }
  t.end()
})

t.test('both alphabets, missing padding and white space are read', t => {
  const expected = new Uint8Array([0xfb, 0xff, 0xbf, 0x01])
  for (const text of ['+/+/AQ==', '-_-_AQ==', '+/+/AQ', '-_-_AQ', ' +/+/\r\n\tAQ\f==\n', '+_-/AQ']) {
    t.same(decodeBase64(text), expected, JSON.stringify(text))
  }
  t.same(decodeBase64(''), new Uint8Array(0))
  t.end()
})

t.test('what is not base64 is refused, not skipped', t => {
  for (const text of [
    'A', 'AAAAA', 'AA=', 'AA===', '=', 'AA==AA==', 'A=AA', 'AAA*', 'AA\u00a0AA', 'AAAé', 'AA.A', 'AA\0A'
  ]) {
    t.equal(decodeBase64(text), undefined, JSON.stringify(text))
  }
  t.end()
})

t.test('any octets survive, any text is either read or refused', t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), octets => {
    t.strictSame(decodeBase64(encodeBase64(octets)), octets)
  }), { numRuns: 200 })
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), text => {
    const octets = decodeBase64(text)
    if (octets) t.same(octets, Buffer.from(text, 'base64'), JSON.stringify(text))
  }), { numRuns: 500 })
  t.end()
})

t.test('the methods of newer engines are used where they exist, and decide the same', t => {
  const calls: string[] = []
  Object.defineProperties(Uint8Array, {
    fromBase64: {
      configurable: true,
      value: (text: string, options: object) => {
        calls.push(`${text} ${JSON.stringify(options)}`)
        if (text.includes('*')) throw new SyntaxError('not base64')
        return new Uint8Array([1])
      }
    }
  })
  Reflect.defineProperty(Uint8Array.prototype, 'toBase64', {
    configurable: true,
    value (this: Uint8Array) { return `native ${this.length}` }
  })
  t.teardown(() => {
    Reflect.deleteProperty(Uint8Array, 'fromBase64')
    Reflect.deleteProperty(Uint8Array.prototype, 'toBase64')
  })
  t.same(decodeBase64('-_AA'), new Uint8Array([1]))
  t.equal(decodeBase64('*'), undefined)
  t.same(calls, ['+/AA {"lastChunkHandling":"loose"}', '* {"lastChunkHandling":"loose"}'])
  t.equal(encodeBase64(new Uint8Array(5)), 'native 5')
  t.end()
})
