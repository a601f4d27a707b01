/**
 * Which keys open EHBP requests, by a clock that the test turns: the active, the next, retired ones, and no more of
 * them than a few.
 */
import { Readable } from 'node:stream'
import t from 'tap'
import { createEhbpOpener } from '../../../../lib/exchanges/ehbp/open.ts'
import type { IncomingRequest } from '../../../../lib/http/incoming.ts'
import { Problem } from '../../../../lib/http/problems.ts'
import { deriveKemKeyPair } from '../../../../lib/hpke/kem.ts'
import { createHpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import type { HpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import { KEM_MLKEM768_X25519, KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { createMemoryReplayStore } from '../../../../lib/replay/memory.ts'
import { createByteBudget } from '../../../../lib/streams/budget.ts'
import { ehbpRequest } from '../../../fixtures/ehbp-client.ts'

const ROTATION = 1000
const EPOCH = 1_000_000
const secretOf = (epoch: number) => Buffer.alloc(32, epoch % 251)
const publicKeyOf = (epoch: number) => deriveKemKeyPair(KEM_X25519, secretOf(epoch)).publicKey

async function ringAt (retirement: number): Promise<HpkeRing> {
  const ring = createHpkeRing({
    rotation: ROTATION,
    retirement,
    kemIds: [KEM_MLKEM768_X25519, KEM_X25519],
    secrets: { earliest: undefined, firstKeyId: 0, secret: secretOf },
    now: () => EPOCH * ROTATION + 1
  })
  await ring.ready
  while (!ring.keys().some(({ state }) => state === 'pending')) await new Promise(resolve => setTimeout(resolve, 5))
  t.teardown(() => ring.close())
  return ring
}

/** The code of the problem, or 'opened'. */
async function open (ring: HpkeRing, publicKey: Uint8Array, remember = Infinity): Promise<string> {
  const { headers, body } = await ehbpRequest(publicKey, 'x')
  const budget = createByteBudget(1_000_000)
  const open = createEhbpOpener(ring, createMemoryReplayStore({ remember: 1000, capacity: 10 }), budget, {
    contextRoot: '', own: new Set(), maxFrameBytes: 1000, remember, now: () => EPOCH * ROTATION + 1
  })
  const request: IncomingRequest = {
    method: 'POST',
    target: '/',
    headers: { ...headers, 'transfer-encoding': 'chunked' },
    rawHeaders: [],
    caller: { trusted: false, address: undefined, encrypted: false, host: undefined },
    clientAddress: () => '',
    payload: Readable.from([body]),
    trailers: () => [],
    forwarding: () => []
  }
  try {
    const { body } = await open(request)
    return String(await Array.fromAsync(body as Readable)) === 'x' ? 'opened' : 'changed'
  } catch (error) {
    if (error instanceof Problem) return error.code
    throw error
  } finally {
    t.equal(budget.used, 0)
  }
}

t.test('the active key opens, the next, and those that retire; none before and none after', async t => {
  const ring = await ringAt(2 * ROTATION)
  for (const [offset, expected] of [
    [0, 'opened'], [1, 'opened'], [2, 'ehbp-key'], [-1, 'opened'], [-2, 'opened'], [-3, 'ehbp-key']
  ] as const) {
    t.equal(await open(ring, publicKeyOf(EPOCH + offset)), expected, `epoch ${offset}`)
  }
})

t.test('at most eight keys are tried, the newest first', async t => {
  const ring = await ringAt(20 * ROTATION)
  for (const [offset, expected] of [
    [0, 'opened'], [1, 'opened'], [-6, 'opened'], [-7, 'ehbp-key'], [-20, 'ehbp-key']
  ] as const) {
    t.equal(await open(ring, publicKeyOf(EPOCH + offset)), expected, `epoch ${offset}`)
  }
})

t.test('a key that stays for longer than its requests are remembered opens none', async t => {
  const ring = await ringAt(0)
  t.equal(await open(ring, publicKeyOf(EPOCH), ROTATION), 'opened')
  t.equal(await open(ring, publicKeyOf(EPOCH), ROTATION - 2), 'replay-store')
})
