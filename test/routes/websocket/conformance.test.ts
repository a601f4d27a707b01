/**
 * The groups of cases of the Autobahn test suite, whose runner needs Python 2, frame by frame: what a server answers
 * through the proxy is, byte for byte, what it answers directly, whatever the frames and however they are cut.
 */
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../../fixtures/proxy.ts'
import { rawClient } from '../../fixtures/raw.ts'
import { handshake, startSocketWorkload } from '../../fixtures/websockets.ts'

interface FrameOptions {
  readonly isFinal?: boolean
  readonly rsv?: number
  readonly isMasked?: boolean
  /** How the length is written: more bytes than it needs are against the rules. */
  readonly lengthBytes?: 1 | 2 | 8
}

const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** A client's frame (RFC 6455, section 5.2). */
function frame (opcode: number, payload: string | Uint8Array = '', options: FrameOptions = {}): Buffer {
  const { isFinal = true, rsv = 0, isMasked = true } = options
  const content = Buffer.from(payload)
  const { length } = content
  const { lengthBytes = length < 126 ? 1 : length < 65_536 ? 2 : 8 } = options
  const head = Buffer.alloc(1 + (lengthBytes === 1 ? 1 : 1 + lengthBytes))
  head[0] = (isFinal ? 0x80 : 0) | rsv << 4 | opcode
  head[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 1 ? length : lengthBytes === 2 ? 126 : 127)
  if (lengthBytes === 2) head.writeUInt16BE(length, 2)
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!isMasked) return Buffer.concat([head, content])
  return Buffer.concat([head, MASK, content.map((byte, i) => byte ^ MASK[i % 4]!)])
}

const close = (code?: number, reason = '') =>
  frame(8, code === undefined ? '' : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]))
const TEXT = 1
const BINARY = 2
const PING = 9
const PONG = 10
const CONTINUED = 0
const part = { isFinal: false }
const bye = close(1000)

/** Of each group, by its number there: the frames that the client sends. */
const cases: Array<[string, readonly Buffer[]]> = [
  ...[0, 125, 126, 127, 128, 65_535, 65_536].flatMap((size): Array<[string, Buffer[]]> => [
    [`1.1 text of ${size} bytes`, [frame(TEXT, '*'.repeat(size)), bye]],
    [`1.2 binary of ${size} bytes`, [frame(BINARY, Buffer.alloc(size, 0xfe)), bye]]
  ]),
  ['2.1 ping', [frame(PING), bye]],
  ['2.2 ping with payload', [frame(PING, 'hello'), bye]],
  ['2.4 ping of 125 bytes', [frame(PING, Buffer.alloc(125, 0xfe)), bye]],
  ['2.5 ping of 126 bytes', [frame(PING, Buffer.alloc(126, 0xfe)), bye]],
  ['2.7 unsolicited pong', [frame(PONG), frame(PING, 'after'), bye]],
  ['2.10 ten pings', [...Array.from({ length: 10 }, (_, i) => frame(PING, `payload-${i}`)), bye]],
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv): [string, Buffer[]] => [
    `3 reserved bits ${rsv}`, [frame(TEXT, 'first'), frame(TEXT, 'reserved', { rsv }), frame(PING)]
  ]),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode): [string, Buffer[]] => [
    `4 reserved opcode ${opcode}`, [frame(TEXT, 'first'), frame(opcode, 'reserved'), frame(PING)]
  ]),
  ['5.1 fragmented ping', [frame(PING, 'a', part), frame(CONTINUED, 'b')]],
  ['5.3 text in two fragments', [frame(TEXT, 'a', part), frame(CONTINUED, 'b'), bye]],
  ['5.6 ping between fragments', [frame(TEXT, 'a', part), frame(PING, 'x'), frame(CONTINUED, 'b'), bye]],
  ['5.9 continuation of nothing', [frame(CONTINUED, 'a'), frame(TEXT, 'b'), bye]],
  ['5.15 text within fragments', [frame(TEXT, 'a', part), frame(TEXT, 'b'), bye]],
  ['5.20 many fragments and pings', [
    frame(TEXT, 'a', part), ...Array.from({ length: 20 }, (_, i) => [
      frame(CONTINUED, String(i), part), frame(PING, String(i))
    ]).flat(), frame(CONTINUED, 'z'), bye
  ]],
  ['6.1 empty fragments', [frame(TEXT, '', part), frame(CONTINUED, '', part), frame(CONTINUED, ''), bye]],
  ['6.2 UTF-8, cut within a character', [
    frame(TEXT, Buffer.from('κόσμε').subarray(0, 3), part), frame(CONTINUED, Buffer.from('κόσμε').subarray(3)), bye
  ]],
  ['6.3 text that is not UTF-8', [frame(TEXT, Buffer.from('cebae1bdb9cf83cebcceb5eda080', 'hex')), bye]],
  ['6.4 not UTF-8 in the second fragment', [
    frame(TEXT, 'ok', part), frame(CONTINUED, Buffer.from('f4908080', 'hex')), bye
  ]],
  ['6.5 noncharacters', [frame(TEXT, Buffer.from('efbfbeefbfbf', 'hex')), bye]],
  ['7.1.1 close behind a message', [frame(TEXT, 'Hello'), close(1000)]],
  ['7.1.2 two closes', [close(1000), close(1000)]],
  ['7.1.3 ping behind a close', [close(1000), frame(PING)]],
  ['7.1.6 large message, then close', [frame(BINARY, Buffer.alloc(262_144, 1)), frame(TEXT, 'Hello'), close(1000)]],
  ['7.3.1 close without a code', [close()]],
  ['7.3.2 close of one byte', [frame(8, 'x')]],
  ['7.3.4 close with a reason', [close(1000, 'reason')]],
  ['7.3.6 close with a reason that is too long', [close(1000, '*'.repeat(124))]],
  ['7.5.1 close with a reason that is not UTF-8', [
    frame(8, Buffer.concat([Buffer.from([3, 0xe8]), Buffer.from('cebaeda080', 'hex')]))
  ]],
  ...[1000, 1001, 1002, 1003, 1007, 1011, 3000, 4999, 0, 999, 1004, 1005, 1006, 1015, 1100, 2999, 5000, 65_535].map(
    (code): [string, Buffer[]] => [`7.7, 7.9 close code ${code}`, [close(code)]]
  ),
  ['9 one megabyte', [frame(BINARY, Buffer.alloc(2 ** 20, 7)), bye]],
  ['9.3 one megabyte in fragments', [
    frame(BINARY, Buffer.alloc(65_536, 7), part),
    ...Array.from({ length: 14 }, () => frame(CONTINUED, Buffer.alloc(65_536, 8), part)),
    frame(CONTINUED, Buffer.alloc(65_536, 9)), bye
  ]],
  ['10 length in more bytes than needed', [frame(TEXT, 'short', { lengthBytes: 8 }), bye]],
  ['frames without a mask', [frame(TEXT, 'unmasked', { isMasked: false }), bye]],
  ['no close at all', [frame(TEXT, 'a')]]
]

/** All that the server sends behind its handshake, until the connection ends. */
async function run (t: Test, port: number, bytes: Buffer, chop: number): Promise<string> {
  const client = await rawClient(t, port, { allowHalfOpen: true })
  client.send(handshake())
  await client.until('\r\n\r\n')
  for (let at = 0; at < bytes.length && client.socket.writable; at += chop) {
    client.send(bytes.subarray(at, at + chop))
    if (chop < 100) await setTimeout(0)
  }
  client.socket.end()
  const all = await client.end
  return all.slice(all.indexOf('\r\n\r\n') + 4)
}

t.test('every case gets, through the proxy, the answer that it gets directly', async t => {
  const workload = await startSocketWorkload(t)
  const proxy = await startProxy(t, { workloadBaseUrl: workload.url })
  const direct = Number(new URL(workload.url).port)
  t.ok(cases.length > 70)
  for (const [name, frames] of cases) {
    const bytes = Buffer.concat(frames)
    const expected = await run(t, direct, bytes, Infinity)
    const chops = bytes.length < 200 ? [Infinity, 1, 7] : [Infinity, 9973]
    for (const chop of chops) {
      const answer = await run(t, proxy.port, bytes, chop)
      if (answer !== expected) t.equal(answer.length, expected.length, `${name}, in pieces of ${chop} bytes`)
    }
    t.ok(expected.length > 0 || name === 'no close at all', name)
  }
})
