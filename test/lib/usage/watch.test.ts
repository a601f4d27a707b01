/** A reader of usage sees what passes, and changes nothing of it: not its bytes, its end, its errors, or its pace. */
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Usage } from '../../../lib/usage/counts.ts'
import type { UsageReader } from '../../../lib/usage/reader.ts'
import { arrivedSoon, watched } from '../../../lib/usage/watch.ts'

const found: Usage = { input: 1, output: 2, total: 3 }
const settled = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

function readerOf (calls: string[], wait?: Promise<void>): UsageReader {
  return {
    push (piece) {
      calls.push(piece.toString())
      return wait
    },
    async end () {
      calls.push('end')
      return found
    },
    close () { calls.push('close') }
  }
}

function sourceOf (...pieces: string[]): Readable {
  const source = new Readable({ read: () => undefined })
  for (const piece of pieces) source.push(piece)
  return source
}

t.test('the reader sees each piece before it passes, and the end before the stream ends', async t => {
  const calls: string[] = []
  const source = sourceOf('a', 'b')
  const passing = watched(source, readerOf(calls), usage => calls.push(`ended ${usage?.total}`))
  passing.on('data', (piece: Buffer) => calls.push(`passed ${piece.toString()}`)).once('end', () => calls.push('over'))
  await settled()
  t.same(calls, ['a', 'passed a', 'b', 'passed b'])
  source.push('c')
  source.push(null)
  await new Promise(resolve => passing.once('close', resolve))
  t.same(calls.slice(4), ['c', 'passed c', 'end', 'ended 3', 'over', 'close'])
})

t.test('a reader that takes its time is waited for, before the next piece and before the end', async t => {
  const calls: string[] = []
  const { promise, resolve } = Promise.withResolvers<void>()
  const source = sourceOf('a')
  const passing = watched(source, readerOf(calls, promise), () => calls.push('ended'))
  passing.on('data', (piece: Buffer) => calls.push(`passed ${piece.toString()}`))
  await settled()
  source.push('b')
  source.push(null)
  await settled()
  t.same(calls, ['a'])
  resolve()
  await new Promise(resolve => passing.once('close', resolve))
  t.same(calls, ['a', 'passed a', 'b', 'passed b', 'end', 'ended', 'close'])
})

t.test('what nobody reads is not read ahead', async t => {
  let sent = 0
  const source = new Readable({
    read () {
      sent += 16_384
      this.push(Buffer.alloc(16_384))
    }
  })
  const passing = watched(source, { ...readerOf([]), push: () => undefined }, () => undefined)
  await new Promise(resolve => setTimeout(resolve, 20))
  t.ok(sent <= 2 ** 19, `${sent} bytes`)
  passing.destroy()
})

t.test('a stream that breaks off, or is not wanted any more, is over for source, reader and client', async t => {
  for (const broken of [true, false]) {
    const calls: string[] = []
    const source = sourceOf('a')
    const passing = watched(source, readerOf(calls), () => calls.push('ended')).resume()
    await settled()
    if (broken) source.destroy(new Error('broken'))
    else passing.destroy()
    await settled()
    await settled()
    t.ok(source.destroyed && passing.destroyed)
    t.equal(passing.errored?.message, broken ? 'broken' : undefined)
    t.same(calls, ['a', 'close'])
  }
})

t.test('a short answer is waited for, if it says its length and comes soon', async t => {
  const source = sourceOf('ab')
  setTimeout(() => { source.push('cd') }, 5)
  setTimeout(() => { source.push(null) }, 10)
  t.equal((await arrivedSoon(source, 4))?.toString(), 'abcd')
  await new Promise(resolve => source.once('end', resolve))
  t.equal((await arrivedSoon(sourceOf(), 0))?.toString(), '')
})

t.test('nothing is taken of an answer that is late, long, broken, or of no known length', async t => {
  for (const [name, length, act] of [
    ['late', 4, () => undefined],
    ['long', 100_000, () => undefined],
    ['of no known length', undefined, () => undefined],
    ['longer than it said', 1, () => undefined]
  ] as const) {
    const source = sourceOf('ab')
    t.equal(await arrivedSoon(source, length), undefined, name)
    act()
    source.push('cd')
    source.push(null)
    t.equal((await buffer(source)).toString(), 'abcd', name)
  }
  const broken = sourceOf('ab')
  setTimeout(() => broken.destroy(new Error('broken')), 5)
  t.equal(await arrivedSoon(broken, 4), undefined)
  await t.rejects(buffer(broken), { message: /broken/ })
})
