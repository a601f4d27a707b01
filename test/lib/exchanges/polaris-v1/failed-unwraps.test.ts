/** Failures are counted by client and minute. */
import t from 'tap'
import { createFailedUnwraps } from '../../../../lib/exchanges/polaris-v1/failed-unwraps.ts'
import { createMinuteCounts } from '../../../../lib/limits/minute-counts.ts'
import { trustedProxies } from '../../../../lib/http/trusted-proxies.ts'
import { clientAddress } from '../../../../lib/http/caller.ts'

t.test('a client may fail so often in a minute, and again in the next', async t => {
  let time = 60_000 * 7 + 10_500
  const failures = createFailedUnwraps(3, createMinuteCounts(() => time))
  for (let i = 0; i < 3; i++) {
    t.equal(await failures.retryAfter('192.0.2.1'), undefined)
    await failures.failed('192.0.2.1')
  }
  t.equal(await failures.retryAfter('192.0.2.1'), 50, 'whole seconds to the next minute, rounded up')
  t.equal(await failures.retryAfter('192.0.2.2'), undefined, 'others are not concerned')
  time = 60_000 * 8 - 1
  t.equal(await failures.retryAfter('192.0.2.1'), 1)
  time++
  t.equal(await failures.retryAfter('192.0.2.1'), undefined)
  await failures.failed('192.0.2.1')
  t.equal(await failures.retryAfter('192.0.2.1'), undefined, 'what was before is forgotten')
})

t.test('addresses of one client count together', async t => {
  const same = [
    ['2001:db8:1:2::1', '2001:DB8:1:2:ffff:ffff:ffff:ffff', '2001:0db8:0001:0002::'],
    ['2001:db8::1', '2001:db8:0:0:1::'],
    ['::1', '::2'],
    ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:192.0.2.1']
  ]
  for (const addresses of same) {
    const failures = createFailedUnwraps(1, createMinuteCounts(() => 0))
    await failures.failed(addresses[0]!)
    for (const address of addresses) t.ok(await failures.retryAfter(address), address)
    for (const address of same.filter(others => others !== addresses).flat()) {
      t.notOk(await failures.retryAfter(address), address)
    }
  }
})

t.test('however many clients there are, memory is bounded, and the latest are known', async t => {
  const failures = createFailedUnwraps(1, createMinuteCounts(() => 0))
  for (let i = 0; i <= 100_000; i++) await failures.failed(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  t.notOk(await failures.retryAfter('10.0.0.0'))
  t.ok(await failures.retryAfter('10.0.195.80'), 'half of them at least')
  t.ok(await failures.retryAfter('10.1.134.160'))
})

t.test('the client is the last address that is not a trusted proxy\'s, where trusted proxies say so', async t => {
  const listed = '10.0.0.0/8, 192.0.2.1'
  const cases: Array<[string, string, string[], string]> = [
    ['false', '203.0.113.7', ['198.51.100.1'], '203.0.113.7'],
    [listed, '203.0.113.7', ['198.51.100.1'], '203.0.113.7'],
    [listed, '10.0.0.1', [], '10.0.0.1'],
    [listed, '10.0.0.1', ['203.0.113.7'], '203.0.113.7'],
    [listed, '10.0.0.1', ['198.51.100.1, 203.0.113.7'], '203.0.113.7'],
    [listed, '10.0.0.1', ['198.51.100.1', '203.0.113.7, 10.0.0.2,192.0.2.1'], '203.0.113.7'],
    [listed, '::ffff:10.0.0.1', ['2001:db8::1'], '2001:db8::1'],
    [listed, '10.0.0.1', ['203.0.113.7:1234'], '203.0.113.7'],
    [listed, '10.0.0.1', ['[2001:db8::1]:1234'], '2001:db8::1'],
    [listed, '10.0.0.1', ['[2001:db8::1]'], '2001:db8::1'],
    [listed, '10.0.0.1', ['198.51.100.1, unknown'], '10.0.0.1'],
    [listed, '10.0.0.1', ['198.51.100.1, 999.0.0.1, 10.0.0.2'], '10.0.0.2'],
    [listed, '10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    [listed, '10.0.0.1', [''], '10.0.0.1'],
    ['true', '10.0.0.1', ['198.51.100.1, 203.0.113.7'], '198.51.100.1']
  ]
  for (const [trustProxy, address, forwarded, expected] of cases) {
    const raw = ['Host', 'h', ...forwarded.flatMap(value => ['X-Forwarded-For', value])]
    t.equal(
      clientAddress(raw, address, trustedProxies(trustProxy)), expected,
      `${trustProxy} ${address} ${forwarded.join(' | ')}`
    )
  }
})
