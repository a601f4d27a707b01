/** The checksums by which the KMS notices corruption. */
import t from 'tap'
import { crc32c } from '../../../../lib/platforms/google/crc32c.ts'

t.test('checksums are those that RFC 3720, appendix B.4, prints', async t => {
  const cases: Array<[name: string, data: Uint8Array, value: number]> = [
    ['nothing', new Uint8Array(0), 0],
    ['32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['32 ones', new Uint8Array(32).fill(255), 0x62a8ab43],
    ['0 to 31', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['31 to 0', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['123456789', Buffer.from('123456789'), 0xe3069283]
  ]
  for (const [name, data, value] of cases) t.equal(crc32c(data), value, name)
})
