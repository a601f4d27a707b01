/** The demo's search for plaintext finds it in every shape that it has on a wire. */
import t from 'tap'
import { occursIn } from '../../examples/demo/wire.ts'

const SECRET = '/records?patient=4711'
const nothing = Buffer.alloc(0)

for (const [shape, seen] of [
  ['as it is', `POST ${SECRET} HTTP/1.1`],
  ['percent-encoded', `GET /?url=${encodeURIComponent(SECRET)} HTTP/1.1`],
  ['in base64', `x: ${Buffer.from(SECRET).toString('base64')}`],
  ['in base64, at any offset', `x: ${Buffer.from(`a${SECRET}`).toString('base64')}`],
  ['in base64url', `x: ${Buffer.from(`a${SECRET}`).toString('base64url')}`]
] as const) {
  t.ok(occursIn(SECRET, { fromClient: Buffer.from(seen), fromProxy: nothing }), `${shape}, from the client`)
  t.ok(occursIn(SECRET, { fromClient: nothing, fromProxy: Buffer.from(seen) }), `${shape}, from the proxy`)
}
t.notOk(occursIn(SECRET, { fromClient: Buffer.from('POST / HTTP/1.1'), fromProxy: nothing }), 'and only there')
