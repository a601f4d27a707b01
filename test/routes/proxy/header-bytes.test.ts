/**
 * The bytes of header values arrive as they were sent, in both directions and in every mode, and never end a line.
 *
 * A workload could once add header lines of its own choosing to a response, with nothing but a file name: behind a
 * content-length, Node takes the value of Content-Disposition for UTF-8, and writes the low byte of each character. The
 * characters U+010D and U+010A became the end of a line.
 */
import t from 'tap'
import { startModes } from '../../fixtures/modes.ts'
import type { Answer, ModeName } from '../../fixtures/modes.ts'
import { startRawWorkload } from '../../fixtures/raw.ts'
import { valuesOf } from '../../fixtures/raw-response.ts'

/** Headers that Node, undici or Fastify treat in a way of their own, and some that they do not. */
const NAMES = [
  'content-disposition', 'Content-Disposition', 'content-type', 'location', 'set-cookie', 'link', 'etag', 'vary',
  'cookie', 'refresh', 'x-latin',
  'www-authenticate', 'cache-control', 'server', 'date', 'last-modified', 'x-content-disposition'
]
/** What a field value may hold (RFC 9110, section 5.5), but for white space, which is trimmed at its ends. */
const BYTES = Array.from({ length: 256 }, (_, byte) => byte).filter(byte => (byte > 0x20 && byte < 0x7f) || byte > 0x7f)
const INVALID = [...Array.from({ length: 32 }, (_, byte) => byte).filter(byte => ![9, 10, 13].includes(byte)), 0x7f]

/** Every pair that begins with one of these bytes. */
const pairsOf = (firsts: readonly number[]) => Buffer.from(
  firsts.flatMap(first => BYTES.flatMap(second => [first, second]))
).toString('latin1')
/** So many that the headers stay below 64 KiB. */
const groups = Array.from({ length: Math.ceil(BYTES.length / 6) }, (_, i) => BYTES.slice(6 * i, 6 * i + 6))

/** How the body follows the head: the ways differ in which of Node's functions writes the head. */
const bodies: Array<[string, string, string]> = [
  ['a length and a body at once', 'Content-Length: 2\r\n', 'ok'],
  ['no body', 'Content-Length: 0\r\n', ''],
  ['chunks', 'Transfer-Encoding: chunked\r\n', '2\r\nok\r\n0\r\n\r\n']
]

t.test('every pair of bytes, in every header of interest, arrives from the workload, and makes no line', async t => {
  let response = ''
  const workload = await startRawWorkload(t, socket => socket.end(response, 'latin1'))
  const modes = await startModes(t, workload.url)
  for (const [framing, header, body] of bodies) {
    for (const [i, group] of groups.entries()) {
      const value = pairsOf(group)
      const lines = NAMES.map(name => `${name}: ${value}\r\n`).join('')
      response = `HTTP/1.1 200 OK\r\n${header}${lines}\r\n${body}`
      const [direct, ...others] = modes
      if (direct === undefined) throw new Error('There are no modes')
      const sent = await direct.send()
      for (const mode of others) {
        const arrived = await mode.send()
        const same = NAMES.every(name => JSON.stringify(
          valuesOf(arrived.fields, name.toLowerCase())
        ) === JSON.stringify(valuesOf(sent.fields, name.toLowerCase())))
        if (!same) t.same(interesting(arrived), interesting(sent), `${mode.name}, ${framing}, pairs of group ${i}`)
        const added = addedLines(arrived, mode.name)
        if (added.length > 0) t.same(added, [], `${mode.name}, ${framing}, pairs of group ${i}: lines`)
      }
    }
    t.pass(framing)
  }
})

const interesting = ({ fields }: Answer) => fields.filter(([name]) => NAMES.includes(name))

/** Lines on the wire that are neither of the workload's headers nor of the proxy's own. */
function addedLines ({ outer }: Answer, mode: ModeName): string[] {
  const own = [
    'access-control-allow-origin', 'connection', 'transfer-encoding', 'content-length', 'content-type', 'date',
    'cache-control', 'incremental', 'x-accel-buffering', 'keep-alive'
  ]
  const known = new Set(mode.includes('OHTTP') ? own : [...own, ...NAMES.map(name => name.toLowerCase())])
  return outer.fields.flatMap(([name]) => known.has(name) ? [] : [name])
}

t.test('a body that comes late does not change the bytes of headers that came before', async t => {
  const lines = NAMES.map(name => `${name}: M\xfcller \xe6\x97\xa5\r\n`).join('')
  const workload = await startRawWorkload(t, socket => {
    socket.write(`HTTP/1.1 200 OK\r\n${lines}\r\n`, 'latin1')
    setTimeout(() => socket.end('data: x\n\n'), 50)
  })
  for (const mode of await startModes(t, workload.url)) {
    const { fields, body } = await mode.send()
    t.same(
      NAMES.filter(name => !valuesOf(fields, name.toLowerCase()).includes('M\xfcller \xe6\x97\xa5')), [], mode.name
    )
    t.equal(body.toString(), 'data: x\n\n')
  }
})

t.test('responses without a body keep their bytes, too', async t => {
  const name = 'attachment; filename="\xc4\x8d\xc4\x8aSet-Cookie: sid=evil"'
  let status = 200
  const workload = await startRawWorkload(t, socket => socket.end(
    `HTTP/1.1 ${status} x\r\n${status === 204 ? '' : 'Content-Length: 5\r\n'}Content-Disposition: ${name}\r\n\r\n`,
    'latin1'
  ))
  const modes = await startModes(t, workload.url)
  for (const [method, code] of [['HEAD', 200], ['GET', 204], ['GET', 304], ['HEAD', 404]] as const) {
    status = code
    for (const mode of modes) {
      const { fields } = await mode.send({ method })
      t.same(valuesOf(fields, 'content-disposition'), [name], `${mode.name}, ${method}, ${code}`)
      t.same(valuesOf(fields, 'set-cookie'), [], mode.name)
    }
  }
})

t.test('bytes that no field value may have are refused', async t => {
  let response = ''
  const workload = await startRawWorkload(t, socket => socket.end(response, 'latin1'))
  const [, ...modes] = await startModes(t, workload.url)
  for (const byte of INVALID) {
    response = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-a: a${String.fromCharCode(byte)}b\r\n\r\nok`
    for (const mode of modes) {
      const { status } = await mode.send()
      if (status !== 502) t.equal(status, 502, `${mode.name}, ${byte}`)
    }
    t.pass(String(byte))
  }
})

t.test('every pair of bytes in a header arrives at the workload', async t => {
  const workload = await startRawWorkload(t, socket => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'))
  for (const mode of await startModes(t, workload.url)) {
    for (const [i, group] of groups.entries()) {
      workload.received.length = 0
      const { status } = await mode.send(
        { headers: [['x-latin', pairsOf(group)], ['content-disposition', pairsOf(group)]] }
      )
      t.equal(status, 200, `${mode.name}, ${i}`)
      const head = Buffer.concat(workload.received).toString('latin1')
      for (const name of ['x-latin', 'content-disposition']) {
        if (!head.includes(`\r\n${name}: ${pairsOf(group)}\r\n`)) t.fail(`${mode.name}: ${name}, pairs of group ${i}`)
      }
    }
  }
})
