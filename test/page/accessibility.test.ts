/**
 * For everybody: by keyboard alone, by screen readers as far as axe-core can tell, on small screens, in light and dark.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import type { Page } from 'playwright-core'
import { browsersFor } from '../fixtures/browsers.ts'
import { googleDeployment } from '../fixtures/google-attester.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { enter, shown, startPageSite, verify } from '../fixtures/verify-page.ts'

t.setTimeout(300_000)
const site = await startPageSite(t)
const google = await googleDeployment()
const proxy = await startProxy(t, {
  workloadBaseUrl: 'http://127.0.0.1:9',
  enableInputEncryption: true,
  enableOutputEncryption: true,
  attestationRateLimit: 10_000
}, { attester: google.attester })
const files = { 'keys.json': JSON.stringify(google.keySets) }
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe-core finds wrong, by all of its rules, the best practices included. */
async function findings (page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const { violations } = await page.evaluate('axe.run()') as {
    violations: Array<{ id: string, nodes: Array<{ html: string, failureSummary: string }> }>
  }
  return violations.flatMap(
    ({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html.slice(0, 200)} ${failureSummary}`)
  )
}

for (const { name, absent, open } of browsersFor(t)) {
  // What axe-core says depends on the page, and colours on its style: one browser is enough for the second scheme.
  for (const colorScheme of name === 'Chromium' ? ['light', 'dark'] as const : ['light'] as const) {
    t.test(`${name}: axe-core finds nothing in ${colorScheme}, whatever the page shows`, {
      skip: absent, timeout: 180_000
    }, async t => {
      const { page } = await open(t, site.url, { colorScheme })
      t.same(await findings(page), [], 'empty')
      await enter(page, { proxy: proxy.url, policy: '{', files })
      await page.click('footer summary')
      await page.click('#verify')
      await page.locator('#policy-error:not(:empty)').waitFor()
      t.same(await findings(page), [], 'with an error')
      google.present({})
      await verify(page, { policy: google.policy })
      await page.click('text=Verdict as JSON')
      t.same(await findings(page), [], 'verified')
      google.present({ dbgstat: 'enabled' })
      t.equal((await verify(page)).title, 'Refused')
      t.same(await findings(page), [], 'refused')
      await verify(page, { proxy: 'http://127.0.0.1:9' })
      t.same(await findings(page), [], 'unreachable')
      await page.evaluate("document.querySelector('main').append(document.createElement('img'))")
      t.match(await findings(page), [/^image-alt: /], 'and it would have noticed')
    })
  }

  t.test(`${name}: the keyboard is enough, and the focus is always seen`, {
    skip: absent, timeout: 120_000
  }, async t => {
    google.present({})
    const { page } = await open(t, site.url)
    const focused = () => page.evaluate(`(() => {
      const { activeElement } = document
      return { id: activeElement.id, name: activeElement.localName, outline: getComputedStyle(activeElement).outlineStyle }
    })()`) as Promise<{ id: string, name: string, outline: string }>
    const tabTo = async (id: string) => {
      for (let presses = 0; presses < 12; presses++) {
        await page.keyboard.press('Tab')
        const now = await focused()
        if (now.name !== 'body') t.not(now.outline, 'none', `${now.name} ${now.id} shows its focus`)
        if (now.id === id) return
      }
      t.fail(`${id} is not reached`)
    }
    await tabTo('proxy')
    await page.keyboard.type(proxy.url)
    await tabTo('policy')
    await page.keyboard.insertText(JSON.stringify(google.policy))
    // The browser's own dialogue for files is not the page's.
    await page.keyboard.press('Tab')
    t.equal((await focused()).id, 'policy-file')
    await page.keyboard.press('Tab')
    t.equal((await focused()).name, 'summary')
    await page.keyboard.press('Enter')
    await tabTo('files')
    await page.setInputFiles(
      '#files', { name: 'keys.json', mimeType: 'application/json', buffer: Buffer.from(files['keys.json']) }
    )
    await page.locator('#recognised li').waitFor()
    await tabTo('verify')
    await page.keyboard.press('Space')
    await page.locator('#result:not([hidden])').waitFor()
    t.equal((await shown(page)).title, 'Verified')
    t.equal((await focused()).id, 'verdict', 'and the verdict is read first')
    await page.focus('#proxy')
    await page.keyboard.press('Enter')
    await page.locator('#verdict:focus').waitFor()
    t.pass('Enter in a field asks, too')
  })

  t.test(`${name}: at 320 pixels nothing is cut off`, { skip: absent, timeout: 120_000 }, async t => {
    google.present({})
    const { page } = await open(t, site.url, { viewport: { width: 320, height: 640 } })
    await verify(page, { proxy: proxy.url, policy: google.policy, files })
    const widths = await page.evaluate('[document.documentElement.scrollWidth, innerWidth]') as [number, number]
    t.ok(widths[0] <= 320, `the page is ${widths[0]} pixels wide`)
    const cut =
      await page.evaluate(`[...document.querySelectorAll('body *')].filter(element => element.getClientRects().length > 0 &&
      !element.closest('pre') && element.getBoundingClientRect().right > 320.5).map(({ localName, id }) => localName + '#' + id)`)
    t.same(cut, [])
  })
}
