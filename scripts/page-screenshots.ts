/**
 * Takes the pictures of docs/verify-page.md, in Chromium: `npm exec -- node scripts/page-screenshots.ts`. Look at them
 * before you commit them. What they show is a stand-in for a deployment in Confidential Space, with keys of its own.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import fastify from 'fastify'
import polaris from '../app.ts'
import { serverOptions } from '../plugins/server/options.ts'
import { browsersFor } from '../test/fixtures/browsers.ts'
import { googleDeployment } from '../test/fixtures/google-attester.ts'
import { enter, startPageSite, verify } from '../test/fixtures/verify-page.ts'

const folder = join(import.meta.dirname, '../docs/images')
await mkdir(folder, { recursive: true })

const endings: Array<() => unknown> = []
const t = { teardown: (end: () => unknown) => { endings.unshift(end) } }
const chromium = browsersFor(t).find(({ name }) => name === 'Chromium')
if (chromium === undefined || chromium.absent !== false) throw new Error(String(chromium?.absent))
const config = { workloadBaseUrl: 'http://127.0.0.1:9', enableInputEncryption: true, enableOutputEncryption: true }
const google = await googleDeployment()
const app = fastify({ ...serverOptions, logger: false })
await app.register(polaris, { attester: google.attester, config })
const proxy = await app.listen({ host: '127.0.0.1', port: 0 })
endings.push(() => {
  app.server.closeAllConnections()
  return app.close()
})
const site = await startPageSite(t)
const files = { 'google-keys.json': JSON.stringify(google.keySets) }

for (const colorScheme of ['light', 'dark'] as const) {
  const { page } = await chromium.open(t, site.url, { colorScheme, viewport: { width: 800, height: 900 } })
  const entered = { proxy, policy: JSON.stringify(google.policy, null, 2) }
  await enter(page, { ...entered, files })
  await page.screenshot({ path: join(folder, `verify-page-form-${colorScheme}.png`), fullPage: true })
  google.present({})
  await verify(page)
  await shoot('verified')
  google.present({ dbgstat: 'enabled' }, { env_override: { LD_PRELOAD: '/tmp/x.so' } })
  await verify(page)
  await shoot('refused')

  /** The result from its top, as much as a reader sees at once. */
  async function shoot (name: string): Promise<void> {
    await page.locator('#result').scrollIntoViewIfNeeded()
    await page.locator('#verdict').evaluate(heading => { (heading as unknown as { blur (): void }).blur() })
    const box = await page.locator('#result').boundingBox()
    const top = (box?.y ?? 0) + Number(await page.evaluate('scrollY')) - 16
    await page.screenshot({
      path: join(folder, `verify-page-${name}-${colorScheme}.png`),
      fullPage: true,
      clip: { x: 0, y: top, width: 800, height: 900 }
    })
  }
}
for (const end of endings) await end()
