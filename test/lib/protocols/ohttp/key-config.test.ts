/** OHTTP key configurations: read, written, or refused. */
import t from 'tap'
import fc from 'fast-check'
import {
  KeyConfigError, decodeKeyConfig, decodeKeyConfigs, encodeKeyConfig, encodeKeyConfigs
} from '../../../../lib/protocols/ohttp/key-config.ts'
import { concat, uint16 } from '../../../../lib/protocols/bytes.ts'
import { hex, unhex } from '../../../fixtures/vectors.ts'

// RFC 9458, appendix A.
const PRINTED = '01002031e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e79815500080001000100010003'
const CONFIG = {
  keyId: 1,
  kemId: 0x20,
  publicKey: unhex('31e1f05a740102115220e9af918f738674aec95f54db6e04eb705aae8e798155'),
  suites: [{ kdfId: 1, aeadId: 1 }, { kdfId: 1, aeadId: 3 }]
}
const HYBRID = { keyId: 2, kemId: 0x647a, publicKey: new Uint8Array(1216).fill(5), suites: [{ kdfId: 1, aeadId: 2 }] }

function listed (...configs: Uint8Array[]): Uint8Array {
  return concat(...configs.flatMap(config => [uint16(config.length), config]))
}

t.test('the configuration of RFC 9458 is read and written', async t => {
  t.strictSame(decodeKeyConfig(unhex(PRINTED)), CONFIG)
  t.equal(hex(encodeKeyConfig(CONFIG)), PRINTED)
})

t.test('a list is read in its order', async t => {
  t.strictSame(decodeKeyConfigs(encodeKeyConfigs([HYBRID, CONFIG])), [HYBRID, CONFIG])
  t.strictSame(decodeKeyConfigs(new Uint8Array()), [])
})

t.test('configurations with unknown algorithms are skipped, unknown suites beside known ones kept', async t => {
  const unknownKem = concat(Uint8Array.of(3), uint16(0x4444), new Uint8Array(99))
  const unknownSuites = { ...CONFIG, keyId: 4, suites: [{ kdfId: 2, aeadId: 1 }, { kdfId: 1, aeadId: 0xffff }] }
  const mixed = { ...CONFIG, keyId: 5, suites: [{ kdfId: 3, aeadId: 9 }, { kdfId: 1, aeadId: 3 }] }
  const list = listed(unknownKem, encodeKeyConfig(unknownSuites), encodeKeyConfig(mixed))
  t.strictSame(decodeKeyConfigs(list), [mixed])
})

t.test('one malformed configuration voids the list', async t => {
  const good = encodeKeyConfig(CONFIG)
  const cases: [string, Uint8Array][] = [
    ['empty', new Uint8Array()],
    ['too short for any KEM', good.subarray(0, 9)],
    ['key cut off', good.subarray(0, 20)],
    ['no algorithms', concat(good.subarray(0, 35), uint16(0))],
    ['half a pair of algorithms', concat(good.subarray(0, 35), uint16(6), new Uint8Array(6))],
    ['algorithms cut off', good.subarray(0, -1)],
    ['octets after the algorithms', concat(good, Uint8Array.of(0))]
  ]
  for (const [name, bad] of cases) t.throws(() => decodeKeyConfigs(listed(good, bad)), KeyConfigError, name)
  const list = listed(good, encodeKeyConfig(HYBRID))
  for (let length = 1; length < list.length; length++) {
    if (length !== good.length + 2) t.throws(() => decodeKeyConfigs(list.subarray(0, length)), KeyConfigError)
  }
})

t.test('random lists are read or refused, and what is read is written alike', async () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), bytes => {
    try {
      return Array.isArray(decodeKeyConfigs(bytes))
    } catch (error) {
      return error instanceof KeyConfigError
    }
  }))
})

t.test('what would be malformed is not written', async t => {
  t.throws(() => encodeKeyConfig({ ...CONFIG, keyId: 256 }), KeyConfigError)
  t.throws(() => encodeKeyConfig({ ...CONFIG, kemId: 0x10 }), KeyConfigError)
  t.throws(() => encodeKeyConfig({ ...CONFIG, publicKey: new Uint8Array(31) }), KeyConfigError)
  t.throws(() => encodeKeyConfig({ ...CONFIG, suites: [] }), KeyConfigError)
})
