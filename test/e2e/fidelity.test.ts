/**
 * What a workload sends arrives: the same requests go to it directly and through the proxy in each mode, and status,
 * headers and bytes are compared. What differs by design is in a table with its reasons, which docs/fidelity.md has
 * too.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { compare, sorted } from '../fixtures/compare.ts'
import { differences } from '../fixtures/fidelity/differences.ts'
import { brokenCodings, responseCases } from '../fixtures/fidelity/responses.ts'
import { startModes } from '../fixtures/modes.ts'
import { startRawWorkload } from '../fixtures/raw.ts'
import type { Field } from '../fixtures/raw-response.ts'

/** Whether a request is there as a whole, by its own framing. */
function isWhole (received: Buffer): boolean {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return false
  const head = received.toString('latin1', 0, end)
  const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? 0)
  return /^transfer-encoding:/im.test(head)
    ? received.subarray(-5).equals(Buffer.from('0\r\n\r\n'))
    : received.length >= end + 4 + length
}

t.test('responses arrive as they were sent, but for what the table of differences says', async t => {
  let response: Buffer = Buffer.alloc(0)
  const workload = await startRawWorkload(t, (socket, received) => { if (isWhole(received)) socket.end(response) })
  const [direct, ...others] = await startModes(t, workload.url)
  if (direct === undefined) throw new Error('There is no workload')
  for (const one of responseCases) {
    response = one.response
    const sent = await direct.send(one.request)
    for (const mode of others) {
      compare(t, one.name, mode, sent, await mode.send(one.request))
    }
  }
})

t.test('content that its coding does not undo passes as it is, or is 502', async t => {
  let response: Buffer = Buffer.alloc(0)
  const workload = await startRawWorkload(t, (socket, received) => { if (isWhole(received)) socket.end(response) })
  for (const mode of await startModes(t, workload.url)) {
    for (const one of brokenCodings) {
      response = one.response
      const { status, body } = await mode.send()
      if (mode.name === 'v1' || mode.name === 'output only') t.equal(status, 502, `${one.name}: ${mode.name}`)
      else {
        t.ok(
          status === 200 && response.subarray(-body.length).equals(body) && body.length > 0, `${one.name}: ${mode.name}`
        )
      }
    }
  }
})

const BODIES = [undefined, 0, 1, 16383, 16384, 16385, 2 ** 20].map(
  length => length === undefined ? undefined : Buffer.alloc(length, '0123456789')
)
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY', 'PROPFIND', 'REPORT']
/**
 * Of what arrives at the workload, these headers are each hop's own, or set by the proxy (docs/fidelity.md,
 * "Requests").
 */
const HOPS = new Set([
  'host', 'connection', 'content-length', 'transfer-encoding', 'accept-encoding', 'date', 'polaris-response-public-key'
])

t.test('requests arrive as they were sent: method, target, headers, bytes', async t => {
  let received: Buffer = Buffer.alloc(0)
  const workload = await startRawWorkload(t, (socket, bytes) => {
    if (!isWhole(bytes)) return
    received = bytes
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
  })
  const headers: Field[] = [
    ['x-latin', 'M\xfcller'], ['x-utf', '\xe4\xb8\x8a'], ['cookie', 'a=1; b=2'], ['authorization', 'Bearer x'],
    ['range', 'bytes=0-1'], ['if-none-match', 'W/"a", "b"'], ['x-empty', ''], ['x-long', 'y'.repeat(8000)]
  ]
  for (const mode of await startModes(t, workload.url)) {
    for (const method of METHODS) {
      for (const body of BODIES.filter(body => method === 'POST' || (body?.length ?? 0) < 2)) {
        const { status } = await mode.send(
          { method, target: '/a/../b//c?d=%zz&e', headers, ...body !== undefined && { body } }
        )
        const [head = ''] = received.toString('latin1').split('\r\n\r\n', 1)
        const [line, ...lines] = head.split('\r\n')
        const fields = lines.map(
          line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const
        )
        t.same(
          [status, line, sorted(fields.filter(([name]) => !HOPS.has(name)))],
          [200, `${method} /a/../b//c?d=%zz&e HTTP/1.1`, sorted(headers)], `${mode.name}, ${method}, ${body?.length}`
        )
        t.ok(bodyOf(received).equals(body ?? Buffer.alloc(0)), `${mode.name}, ${method}, ${body?.length}: bytes`)
      }
    }
  }
})

function bodyOf (request: Buffer): Buffer {
  const end = request.indexOf('\r\n\r\n') + 4
  if (!/^transfer-encoding:/im.test(request.toString('latin1', 0, end))) return request.subarray(end)
  const chunks: Buffer[] = []
  for (let at = end; ;) {
    const lineEnd = request.indexOf('\r\n', at)
    const length = parseInt(request.toString('latin1', at, lineEnd), 16)
    if (length === 0) return Buffer.concat(chunks)
    chunks.push(request.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
}

t.test('docs/fidelity.md has the same differences', async t => {
  const rows = readFileSync(
    new URL('../../docs/fidelity.md', import.meta.url), 'utf8'
  ).split('\n').filter(line => line.startsWith('| '))
  for (const { what, modes, reason } of differences) t.ok(rows.includes(`| ${what} | ${modes} | ${reason} |`), what)
})
