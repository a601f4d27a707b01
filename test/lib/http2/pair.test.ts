/** Connections within the process end, break and hold back as those of TCP do. */
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { connectionPair } from '../../../lib/http2/pair.ts'

const origin = { remoteAddress: '192.0.2.7', remotePort: 1234, remoteFamily: 'IPv4' }

t.test('what is sent at one end arrives at the other, both ways, up to the end', async t => {
  const { near, far } = connectionPair(origin)
  t.match(far, { ...origin, encrypted: true })
  near.write('question ')
  near.end('asked')
  far.end('answer')
  t.same(await Promise.all([text(far), text(near)]), ['question asked', 'answer'])
  t.same([far.bytesRead, far.bytesWritten], [14, 6])
})

t.test('a piece is not the memory that its sender has', async t => {
  const { near, far } = connectionPair(origin)
  const piece = Buffer.from('kept')
  near.write(piece, () => piece.fill(0))
  near.end()
  t.equal(await text(far), 'kept')
})

t.test('a reader that does not read holds the sender back', async t => {
  const { near, far } = connectionPair(origin)
  const piece = Buffer.alloc(64 * 1024)
  let taken = 0
  const send = () => near.write(piece, () => {
    if (++taken < 100) send()
    else near.end()
  })
  send()
  await setTimeout(50)
  t.ok(taken < 10, `${taken}`)
  t.equal((await text(far)).length, 100 * piece.length)
})

t.test('what a server sent before it closed still arrives; what it did not finish breaks', async t => {
  const { near, far } = connectionPair(origin)
  far.write('all of it')
  far.destroySoon()
  t.equal(await text(near), 'all of it')
  near.write('too late')
  const cut = connectionPair(origin)
  cut.far.write('part')
  cut.far.destroy()
  await t.rejects(text(cut.near), { code: 'ECONNRESET' })
})

t.test('a client that is gone is gone for the server', async t => {
  const { near, far } = connectionPair(origin)
  near.end('question')
  const gone = once(far, 'error')
  near.destroy()
  t.match(await gone, [{ code: 'ECONNRESET' }])
  t.equal(far.destroyed, true)
})

t.test('a silent connection times out, one with traffic does not', async t => {
  const { near, far } = connectionPair(origin)
  far.resume()
  let timedOut = 0
  far.setTimeout(200, () => { timedOut++ })
  t.equal(far.timeout, 200)
  for (let i = 0; i < 6; i++) {
    near.write('x')
    await setTimeout(50)
  }
  t.equal(timedOut, 0)
  await Promise.race([once(far, 'timeout'), setTimeout(3000)])
  far.setTimeout(0)
  await setTimeout(250)
  t.equal(timedOut, 1)
})
