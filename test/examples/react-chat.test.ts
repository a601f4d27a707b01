/**
 * The React chat in a real browser: locked before the first prompt, and open as soon as the proxy can prove itself no
 * more.
 */
import t from 'tap'
import { startSite } from '../../examples/react-chat/site.ts'
import { startWorkload } from '../../examples/react-chat/workload.ts'
import type { Attester } from '../../lib/attestation/attester.ts'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { browsersFor } from '../fixtures/browsers.ts'
import { startMeddler } from '../fixtures/meddler.ts'
import { startProxy } from '../fixtures/proxy.ts'

const [chromium] = browsersFor(t)

t.test('the lock comes before the first prompt, and opens when a renewal fails', {
  skip: chromium?.absent ?? true, timeout: 120_000
}, async t => {
  const workload = await startWorkload(async () => undefined)
  t.teardown(() => workload.close())
  let root = await simulated()
  const genuine = root
  const attester: Attester = { type: 'simulated', evidence: request => root.evidence(request) }
  const config = {
    workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true, attestationRateLimit: 1000
  }
  const proxy = await startProxy(t, config, { attester })
  const meddler = await startMeddler(t, proxy.url)
  const policy = { version: 1, development: true, platforms: { simulated: { roots: [genuine.root] } } } as const
  // Renewed every second.
  const site = await startSite({ baseURL: meddler.url, policy, maxAge: 6 })
  t.teardown(() => site.close())

  const { page, complaints } = await chromium!.open(t, site.url)
  await page.locator('.lock.locked').waitFor()
  t.equal(await page.innerText('.lock [role=status]'), '🔒 Proven')
  t.same(workload.prompts, [], 'nothing was sent')
  t.notMatch(meddler.seen().toString('latin1'), /POST /)
  await page.click('.lock summary')
  t.match(await page.innerText('.lock'), 'the evidence is simulated', 'it says what the proof is worth')
  t.match(await page.innerText('.lock'), /passed root The development root is/)

  await page.fill('input', 'a secret of mine')
  await page.keyboard.press('Enter')
  await page.locator('li.model').filter({ hasText: 'You said: a secret of mine' }).waitFor()
  t.same(workload.prompts, ['a secret of mine'])
  t.notMatch(meddler.seen().toString('latin1'), 'secret of mine', 'who is on the way reads nothing')

  root = await simulated()
  await page.locator('.lock.open').waitFor()
  t.match(await page.innerText('.lock'), 'Attestation failed: root')
  t.ok(await page.locator('button').isDisabled())
  await page.fill('input', 'another secret')
  await page.keyboard.press('Enter')
  t.same(workload.prompts, ['a secret of mine'], 'and prompts stay here')

  root = genuine
  await page.locator('.lock.locked').waitFor()
  await page.keyboard.press('Enter')
  await page.locator('li.model').filter({ hasText: 'You said: another secret' }).waitFor()
  t.same(workload.prompts, ['a secret of mine', 'another secret'], 'nor was anything sent later')
  t.same(complaints, [])
})
