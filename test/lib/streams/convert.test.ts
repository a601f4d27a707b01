/** A converted stream ends, fails and waits as its source and its reader do. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { HIGH_WATER_MARK, convertStream } from '../../../lib/streams/convert.ts'
import type { Conversion } from '../../../lib/streams/convert.ts'
import { own } from '../../../lib/streams/owned.ts'
import type { Owned } from '../../../lib/streams/owned.ts'

const PIECE = 64 * 1024

function upperCase (piece: Buffer): Owned {
  return own(Buffer.from(piece.toString().toUpperCase()))
}

async function upperCaseLater (piece: Buffer): Promise<Owned> {
  await sleep(1)
  return upperCase(piece)
}

function of (...pieces: string[]): Readable {
  return Readable.from(pieces.map(piece => Buffer.from(piece)))
}

t.test('small pieces that come in one turn are converted together, also just before an end or an error', async t => {
  const cases: [name: string, finish: (source: Readable) => void, error?: string][] = [
    ['an end', source => source.push(null)],
    ['an error', source => source.destroy(new Error('connection reset')), 'connection reset']
  ]
  for (const [name, finish, error] of cases) {
    const converted: number[] = []
    const given: Buffer[] = []
    const source = new Readable({ read () {} })
    const result = convertStream(source, {
      convert (piece) {
        converted.push(piece.length)
        return own(Buffer.from(piece))
      },
      end: () => undefined
    })
    const over = new Promise(resolve => result.once('end', resolve).once('error', resolve))
    result.on('data', (piece: Buffer) => given.push(piece))
    // A stream flows from the next turn on.
    await sleep(1)
    const pieces = [Buffer.alloc(50, 1), Buffer.alloc(60, 2), Buffer.alloc(PIECE, 3), Buffer.alloc(70, 4)]
    for (const piece of pieces) source.push(piece)
    finish(source)
    t.equal((await over as Error | undefined)?.message, error, name)
    t.strictSame(converted, [50 + 60 + PIECE, 70], name)
    t.ok(Buffer.concat(given).equals(Buffer.concat(pieces)), name)
  }
})

for (const [name, convert] of [['at once', upperCase], ['later', upperCaseLater]] as const) {
  t.test(`all pieces are converted, ${name}, then the end is`, async t => {
    for (const end of [() => own(Buffer.from('.')), () => own(Buffer.alloc(0)), () => undefined]) {
      const result = convertStream(of('a', 'b', '', 'c'), { convert, end })
      t.equal((await buffer(result)).toString(), `ABC${end()?.toString() ?? ''}`)
    }
    t.equal((await buffer(convertStream(of(), { convert, end: () => own(Buffer.from('.')) }))).toString(), '.')
  })

  t.test(`what the conversion throws is the stream's error, ${name}`, async t => {
    const failing: Record<string, Partial<Conversion>> = {
      'at one of the pieces': {
        convert: piece => piece.includes('b') ? Promise.reject(new Error('no b')) : convert(piece)
      },
      'at once, at one of the pieces': {
        convert (piece) {
          if (piece.includes('b')) throw new Error('no b')
          return convert(piece)
        }
      },
      'at the end': { end () { throw new Error('no b') } }
    }
    for (const [when, conversion] of Object.entries(failing)) {
      const source = of('a', 'b', 'c')
      await t.rejects(
        buffer(convertStream(source, { convert, end: () => undefined, ...conversion })), { message: 'no b' }, when
      )
      t.equal(source.errored, null, 'the source is not at fault')
    }
  })

  t.test(`a source that fails, or closes before its end, is no end, ${name}`, async t => {
    async function * failing () {
      yield Buffer.from('a')
      throw new Error('connection reset')
    }
    let ended = false
    const conversion = { convert, end () { ended = true; return undefined } }
    await t.rejects(buffer(convertStream(Readable.from(failing()), conversion)), { message: 'connection reset' })
    const source = new Readable({ read () {} })
    const result = convertStream(source, conversion)
    source.push('a')
    setImmediate(() => source.destroy())
    await t.rejects(buffer(result), { code: 'ERR_STREAM_PREMATURE_CLOSE' })
    t.equal(ended, false)
  })

  t.test(`no more is read than there is room for, ${name}`, async t => {
    let read = 0
    const source = new Readable({
      highWaterMark: PIECE,
      read () {
        read++
        setImmediate(() => this.push(Buffer.alloc(PIECE, 'x')))
      }
    })
    let closed = 0
    const result = convertStream(source, { convert, end: () => undefined, close: () => closed++ })
    await sleep(100)
    const most = HIGH_WATER_MARK / PIECE + 3
    t.ok(read <= most, `${read} read for nobody`)
    const iterator = result[Symbol.asyncIterator]()
    for (let i = 0; i < 20; i++) t.equal((await iterator.next()).done, false)
    await sleep(100)
    t.ok(read >= 20 && read <= 60 + most, `${read} read for 20`)

    const before = read
    result.destroy()
    await once(result, 'close')
    await sleep(20)
    t.strictSame([closed, source.destroyed, source.isPaused()], [1, false, true])
    t.ok(read <= before + 2, 'nothing is read for a stream that was destroyed')
    source.destroy(new Error('after all'))
    await new Promise<void>(resolve => source.once('close', resolve))
  })
}

t.test('pieces are converted one after the other, however eagerly they are asked for', async t => {
  const source = new Readable({ read () {} })
  let converting = 0
  const result = convertStream(source, {
    async convert (piece) {
      t.equal(++converting, 1)
      await sleep(5)
      converting--
      return own(piece)
    },
    end: () => undefined
  })
  const all = buffer(result)
  for (const letter of 'abcdef') {
    source.push(letter)
    // Asks for more, as whoever reads may at any time.
    result.read(0)
    await sleep(2)
  }
  source.push(null)
  t.equal((await all).toString(), 'abcdef')
})

t.test('destroyed while a piece is converted, it gives nothing any more, and reads nothing', async t => {
  for (const late of ['late', '']) {
    const { promise, resolve } = Promise.withResolvers<Owned>()
    const source = of('a', 'b')
    const result = convertStream(source, { convert: () => promise, end () { throw new Error('is no end') } })
    result.on('data', () => t.fail('gives nothing'))
    await sleep(10)
    result.destroy()
    resolve(own(Buffer.from(late)))
    await sleep(10)
    t.strictSame([result.destroyed, source.isPaused()], [true, true])
  }
})

t.test('destroyed while it reads, it leaves the rest where it is', async t => {
  const source = new Readable({ read () {} })
  const result = convertStream(source, { convert: upperCase, end: () => undefined })
  source.push('a')
  t.equal(String(await once(result.resume(), 'data')), 'A')
  t.equal(source.isPaused(), false)
  result.destroy()
  source.push('b')
  await sleep(10)
  t.equal(String(source.read()), 'b')
})

t.test('close is called once, whether it ends, fails or is not wanted', async t => {
  for (const [name, source, use] of [
    ['ends', of('a'), (result: Readable) => buffer(result)],
    [
      'fails', new Readable({ read () { this.destroy(new Error('reset')) } }),
      (result: Readable) => t.rejects(buffer(result))
    ],
    ['is not wanted', of('a'), async (result: Readable) => result.destroy()]
  ] as const) {
    let closed = 0
    const result = convertStream(source, { convert: upperCase, end: () => undefined, close: () => closed++ })
    await use(result)
    if (!result.closed) await once(result, 'close')
    t.equal(closed, 1, name)
  }
})
