/** Where the frames of a WebSocket end, however its bytes arrive: against an encoder written for this test. */
import fc from 'fast-check'
import t from 'tap'
import { closeFrame, followFrames } from '../../../lib/tunnel/frames.ts'

interface Frame {
  readonly opcode: number
  readonly payload: number
  readonly isMasked: boolean
}

/** RFC 6455, section 5.2; the payload is zeros. */
function encode ({ opcode, payload, isMasked }: Frame): Buffer {
  const mask = isMasked ? 0x80 : 0
  const length = payload < 126
    ? [mask | payload]
    : payload < 65_536
      ? [mask | 126, payload >> 8, payload & 255]
      : [mask | 127, 0, 0, 0, 0, 0, payload >> 16, (payload >> 8) & 255, payload & 255]
  return Buffer.concat([Buffer.from([0x80 | opcode, ...length]), Buffer.alloc(isMasked ? 4 : 0), Buffer.alloc(payload)])
}

const frame = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 9, 10),
  payload: fc.oneof(fc.nat(300), fc.constantFrom(0, 1, 125, 126, 127, 65_535, 65_536, 70_000)),
  isMasked: fc.boolean()
})

t.test('frames of every size and kind end where they end, at every cut', async t => {
  for (const payload of [0, 1, 125, 126, 127, 65_535, 65_536]) {
    for (const isMasked of [false, true]) {
      const bytes = encode({ opcode: 2, payload, isMasked })
      const cuts = payload > 1000 ? [0, 1, 2, 3, 8, 9, 10, 13, 14, 15, bytes.length - 1] : bytes.keys()
      for (const cut of cuts) {
        const frames = followFrames()
        frames.follow(bytes.subarray(0, cut))
        if (frames.areWhole !== (cut === 0)) t.fail(`${payload} bytes, cut at ${cut}`)
        frames.follow(bytes.subarray(cut))
        if (!frames.areWhole) t.fail(`${payload} bytes, whole, cut at ${cut}`)
      }
    }
  }
  t.pass('all of them')
})

t.test('the next end is found in any stream, cut into any pieces', async t => {
  fc.assert(fc.property(fc.array(frame, { minLength: 1, maxLength: 8 }), fc.array(fc.nat(1000)), (sent, cuts) => {
    const encoded = sent.map(encode)
    const ends = new Set(encoded.map((_, i) => Buffer.concat(encoded.slice(0, i + 1)).length))
    const bytes = Buffer.concat(encoded)
    const frames = followFrames()
    let at = 0
    for (const cut of [...cuts, bytes.length]) {
      let piece = bytes.subarray(at, at + cut)
      while (piece.length > 0) {
        const end = frames.endIn(piece)
        at += end ?? piece.length
        if (end !== undefined && !ends.has(at)) return false
        if (frames.areWhole !== ends.has(at)) return false
        piece = piece.subarray(end ?? piece.length)
      }
    }
    return frames.areWhole && !frames.areOver
  }))
})

t.test('a close frame is noticed, and any other bytes do no harm', async t => {
  const frames = followFrames()
  frames.follow(encode({ opcode: 1, payload: 8, isMasked: false }))
  t.notOk(frames.areOver)
  frames.follow(closeFrame(1012))
  t.ok(frames.areOver)
  t.ok(frames.areWhole)
  t.same([...closeFrame(1012)], [0x88, 2, 3, 0xf4])
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), pieces => {
    const followed = followFrames()
    for (const piece of pieces) {
      const end = followed.endIn(piece)
      if (end !== undefined && (end < 1 || end > piece.length)) return false
    }
    return true
  }))
  const endless = followFrames()
  endless.follow(Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]))
  endless.follow(Buffer.alloc(1_000_000))
  t.notOk(endless.areWhole)
})
