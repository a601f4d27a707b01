/**
 * The page is locked up: it asks the proxy that was entered and nobody else, and its policy forbids everything else.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { browsersFor } from '../fixtures/browsers.ts'
import { googleDeployment } from '../fixtures/google-attester.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startPageSite, verify } from '../fixtures/verify-page.ts'

t.setTimeout(300_000)
const site = await startPageSite(t)
const google = await googleDeployment()
const proxy = await startProxy(t, {
  workloadBaseUrl: 'http://127.0.0.1:9',
  enableInputEncryption: true,
  enableOutputEncryption: true,
  attestationRateLimit: 10_000
}, { attester: google.attester })
// Neither https, nor one of the names of this machine that the page may ask.
const received: unknown[] = []
const strange = createServer((request, response) => {
  received.push(request.url)
  response.end()
}).listen(0, '127.0.0.2')
await once(strange, 'listening')
t.teardown(() => {
  strange.closeAllConnections()
  strange.close()
})
const stranger = { url: `http://127.0.0.2:${(strange.address() as AddressInfo).port}`, received }
const files = { 'keys.json': JSON.stringify(google.keySets) }

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: by the browser's own record, the page itself and the proxy are all that was asked`, {
    skip: absent, timeout: 120_000
  }, async t => {
    for (const start of [site.url, site.file]) {
      const { page, asked, complaints } = await open(t, start)
      t.equal((await verify(page, { proxy: proxy.url, policy: google.policy, files })).title, 'Verified')
      await page.click('text=Verdict as JSON')
      // Firefox tells nobody about downloads of pages that it was not told to watch.
      if (name === 'Chromium') {
        const [download] = await Promise.all([page.waitForEvent('download'), page.click('text=Save as verdict.json')])
        t.equal(download.suggestedFilename(), 'verdict.json')
        t.match(
          JSON.parse(readFileSync(await download.path(), 'utf8')),
          { proxy: `${proxy.url}/`, verified: true, tee: 'google-confidential-space' }
        )
      }
      // Not every browser records that it opened a file.
      t.same(
        asked.map(url => url.split('?')[0]).filter(url => url !== start), [`${proxy.url}/polaris-container/attestation`]
      )
      t.same(complaints, [], 'and nothing violates the policy of the page')
    }
  })

  t.test(`${name}: what is foreign to the page is not run, not loaded, not sent`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { page } = await open(t, site.url)
    const results = await page.evaluate(`(async () => {
      const violated = new Set()
      addEventListener('securitypolicyviolation', event => violated.add(event.effectiveDirective))
      const attempt = async run => { try { await run() } catch { /* The violation is what counts. */ } }
      const add = (name, properties) => document.body.append(Object.assign(document.createElement(name), properties))
      globalThis.ran = false
      await attempt(() => add('script', { text: 'globalThis.ran = true' }))
      await attempt(() => add('script', { src: '${stranger.url}/x.js' }))
      await attempt(() => add('style', { textContent: 'body { display: none }' }))
      await attempt(() => add('img', { src: '${stranger.url}/x.png' }))
      await attempt(() => add('iframe', { src: '${stranger.url}/x.html' }))
      await attempt(() => document.body.setAttribute('onclick', 'globalThis.ran = true'))
      document.body.click()
      await attempt(() => { document.body.innerHTML = '<p>' })
      await attempt(() => fetch('${stranger.url}/x'))
      await attempt(() => { navigator.sendBeacon('${stranger.url}/x', 'x') })
      await attempt(() => new WebSocket('${stranger.url.replace('http', 'ws')}/x'))
      await new Promise(resolve => setTimeout(resolve, 500))
      return { ran: globalThis.ran, violated: [...violated], display: getComputedStyle(document.body).display, form: document.querySelector('#form') !== null }
    })()`) as { ran: boolean, violated: string[], display: string, form: boolean }
    t.equal(results.ran, false)
    t.equal(results.display, 'block')
    t.ok(results.form, 'markup cannot be put in place of the page')
    for (const directive of ['connect-src', 'frame-src', 'img-src', 'require-trusted-types-for', 'style-src-elem']) {
      t.ok(results.violated.includes(directive), `${directive}: ${results.violated.join(' ')}`)
    }
    t.same(stranger.received, [])
  })
}
