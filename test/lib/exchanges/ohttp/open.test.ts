/** The opener of OHTTP requests by a clock that the test turns: dates, and how long a request must be remembered. */
import { Readable } from 'node:stream'
import t from 'tap'
import { createByteBudget } from '../../../../lib/streams/budget.ts'
import { createOhttpGateway } from '../../../../lib/exchanges/ohttp/open.ts'
import { ohttpForm } from '../../../../lib/exchanges/ohttp/protocol.ts'
import type { IncomingRequest } from '../../../../lib/http/incoming.ts'
import { createInstanceRatchet } from '../../../../lib/keys/hpke/epoch-secrets.ts'
import { createHpkeRing } from '../../../../lib/keys/hpke/ring.ts'
import { Problem } from '../../../../lib/http/problems.ts'
import { KEM_X25519 } from '../../../../lib/protocols/ohttp/suites.ts'
import { decodeKeyConfigs } from '../../../../lib/protocols/ohttp/key-config.ts'
import { createMemoryReplayStore } from '../../../../lib/replay/memory.ts'
import { rememberFor } from '../../../../lib/replay/remember.ts'
import { encapsulate, requestHead } from '../../../fixtures/ohttp-client.ts'
import type { Encapsulated } from '../../../fixtures/ohttp-client.ts'
import { spoil } from '../../../fixtures/ohttp.ts'

const WINDOW = 60_000
const FRESHNESS = {
  replayWindow: WINDOW, ohttpDate: 'required', enableEhbp: false, hpkeRotation: 0, hpkeRetirement: 0
} as const
/** A whole second, as a Date has. */
const NOON = Date.UTC(2030, 0, 1, 12)

async function gatewayAt (start: number) {
  const clock = { time: start }
  const now = () => clock.time
  const ring = createHpkeRing({ rotation: 0, retirement: 0, kemIds: [KEM_X25519], secrets: createInstanceRatchet(0) })
  await ring.ready
  const [key] = decodeKeyConfigs(ring.publication().octets)
  if (key === undefined) throw new Error('no key')
  const budget = createByteBudget(10_000_000)
  const replays = createMemoryReplayStore({ remember: rememberFor(FRESHNESS), capacity: 1000, now })
  const gateway = createOhttpGateway(ring, replays, budget, {
    ...FRESHNESS, own: new Set(), allowedAuthorities: new Set(), ohttpMaxBodyBytes: 5_000_000, padding: 0, now
  })
  return {
    clock,
    budget,
    /** The request of a client whose clock says this. */
    make: (date: number | string, chunked: boolean, content?: Uint8Array) =>
      encapsulate(key, {
        ...requestHead('POST', '/'), headers: [['date', typeof date === 'string' ? date : new Date(date).toUTCString()]]
      }, content, { chunked }),
    /** 'opened', or the code of the problem. */
    async open ({ contentType, message }: Encapsulated) {
      const incoming: IncomingRequest = {
        method: 'POST',
        target: '/',
        headers: { 'content-type': contentType },
        rawHeaders: [],
        caller: { trusted: false, address: undefined, encrypted: false, host: undefined },
        clientAddress: () => '',
        payload: Readable.from([Buffer.from(message)]),
        trailers: () => [],
        forwarding: () => []
      }
      const protocol = ohttpForm(incoming)
      if (protocol === undefined) throw new Error('no protocol')
      try {
        const exchange = await gateway.open(incoming, protocol)
        exchange.release?.()
        return 'opened'
      } catch (error) {
        if (error instanceof Problem) return error.code
        throw error
      }
    }
  }
}

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'

  t.test(`${form}: a Date is acceptable one window either way, and half a second more for its rounding`, async t => {
    const { clock, make, open } = await gatewayAt(NOON)
    for (const [offset, outcome] of [
      [0, 'opened'], [-WINDOW - 500, 'opened'], [WINDOW + 500, 'opened'], [-WINDOW - 501, 'date'],
      [WINDOW + 501, 'date']
    ] as const) {
      clock.time = NOON + offset
      t.equal(await open(await make(NOON, chunked)), outcome, `${offset} ms`)
    }
  })

  t.test(`${form}: a request is refused as long as its Date is acceptable, from first to last`, async t => {
    for (const turn of [0, 1, 30_000, 60_499, 60_500, 60_501, 100_000, 120_999]) {
      // So that the store's generations turn at some other time than the window.
      const { clock, make, open } = await gatewayAt(NOON - WINDOW - 500 - turn)
      clock.time = NOON - WINDOW - 500
      const request = await make(NOON, chunked)
      t.equal(await open(request), 'opened')
      for (const time of [NOON - WINDOW - 500, NOON, NOON + WINDOW, NOON + WINDOW + 499, NOON + WINDOW + 500]) {
        clock.time = time
        t.equal(await open(request), 'cannot-open', `${time - NOON} ms`)
      }
      clock.time = NOON + WINDOW + 501
      t.equal(await open(request), 'date')
    }
  })
}

t.test('a Date is in UTC in each of its three forms, wherever the proxy is', async t => {
  const { TZ } = process.env
  t.teardown(() => {
    if (TZ === undefined) delete process.env['TZ']
    else process.env['TZ'] = TZ
  })
  process.env['TZ'] = 'America/New_York'
  const { make, open } = await gatewayAt(NOON)
  for (const date of ['Tue, 01 Jan 2030 12:00:00 GMT', 'Tuesday, 01-Jan-30 12:00:00 GMT', 'Tue Jan  1 12:00:00 2030']) {
    t.equal(await open(await make(date, true)), 'opened', date)
  }
  for (const date of ['Tue, 01 Jan 2030 13:00:00 GMT', 'Tue Jan  1 07:00:00 2030', 'GMT', '2030']) {
    t.equal(await open(await make(date, true)), 'date', date)
  }
})

t.test('whatever becomes of a request, what it held of the budget is given back', async t => {
  const { clock, budget, make, open } = await gatewayAt(NOON)
  for (const size of [10, 100_000, 1_000_000]) {
    const request = await make(NOON, false, new Uint8Array(size))
    t.equal(await open({ ...request, message: spoil(request.message) }), 'cannot-open')
    t.equal(budget.used, 0, 'spoiled')
    t.equal(await open(request), 'opened')
    t.equal(budget.used, 0, 'opened and released')
    t.equal(await open(request), 'cannot-open')
    t.equal(budget.used, 0, 'replayed')
    clock.time += 10 * WINDOW
    t.equal(await open(request), 'date')
    t.equal(budget.used, 0, 'out of date')
    clock.time = NOON
  }
  t.equal(await open(await make(NOON, false, new Uint8Array(6_000_000))), 'body-too-large')
  t.equal(budget.used, 0, 'too large')
})

t.test('what is OHTTP is told by method and media type', async t => {
  const cases = [
    ['POST', 'message/ohttp-req', 'ohttp'], ['POST', 'message/ohttp-chunked-req', 'ohttp-chunked'],
    ['POST', 'Message/OHTTP-Req; x=y', 'ohttp'], ['POST', ' message/ohttp-req ', 'ohttp'],
    ['POST', 'message/ohttp-res', undefined], ['POST', 'message/ohttp-req2', undefined], ['POST', '', undefined],
    ['POST', undefined, undefined],
    ['PUT', 'message/ohttp-req', undefined], ['GET', 'message/ohttp-req', undefined]
  ] as const
  for (const [method, type, protocol] of cases) {
    t.equal(
      ohttpForm({ method, headers: type === undefined ? {} : { 'content-type': type } }), protocol, `${method} ${type}`
    )
  }
})
