/**
 * What people enter: addresses, policies and files that cannot be used are told beside the field, and nothing is asked.
 */
import t from 'tap'
import { browsersFor } from '../fixtures/browsers.ts'
import { enter, startPageSite, verify } from '../fixtures/verify-page.ts'

t.setTimeout(300_000)
const site = await startPageSite(t)
const policy = { version: 1, platforms: { 'sev-snp': { measurements: ['ab'.repeat(48)] } } }

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: a policy or an address that cannot be used is told at its field, which gets the focus`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { page, asked, complaints } = await open(t, site.url)
    const before = asked.length
    const cases: ReadonlyArray<readonly [
      field: 'proxy' | 'policy', proxy: string, policy: unknown, message: RegExp
    ]> = [
      ['policy', 'https://proxy.example.com', '', /^Paste a policy or choose a file/],
      ['policy', 'https://proxy.example.com', '{', /^The policy cannot be used: The policy is not JSON\.$/],
      ['policy', 'https://proxy.example.com', { version: 2, platforms: {} }, /policy\.version must be 1/],
      [
        'policy', 'https://proxy.example.com', { version: 1, platforms: { 'sev-snp': { measurement: [] } } },
        /policy\.platforms\.sev-snp\.measurement is not known/
      ],
      [
        'policy', 'https://proxy.example.com', { version: 1, platforms: { 'sev-snp': {} } },
        /pins no software: give measurements/
      ],
      ['policy', 'https://proxy.example.com', '<img src=x onerror=alert(1)>', /The policy is not JSON/],
      ['proxy', '', policy, /^Enter the address of the proxy/],
      ['proxy', 'ftp://proxy.example.com', policy, /^This is not an address/],
      ['proxy', 'javascript:alert(1)', policy, /^This is not an address|^Remove the user name/],
      ['proxy', 'https://user:secret@proxy.example.com', policy, /^Remove the user name and password/],
      ['proxy', 'http://192.0.2.7:3000', policy, /^Pages may ask http:\/\/ addresses on this machine only/]
    ]
    for (const [field, proxy, policy, message] of cases) {
      await enter(page, { proxy, policy })
      await page.click('#verify')
      const error = page.locator(`#${field}-error:not(:empty)`)
      await error.waitFor()
      t.match(await error.innerText(), message)
      t.equal(await page.getAttribute(`#${field}`, 'aria-invalid'), 'true')
      t.equal(await page.evaluate('document.activeElement.id'), field)
      t.match(await page.innerText('#status'), 'Nothing was asked')
      t.ok(await page.locator('#result').isHidden())
    }
    t.same(asked.slice(before), [])
    t.same(complaints, [])
  })

  t.test(`${name}: a link brings address and policy, and asks nobody before the button is pressed`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const link = new URLSearchParams({ proxy: 'http://127.0.0.1:9', policy: JSON.stringify(policy) })
    const { page, asked } = await open(t, `${site.url}#${link}`)
    t.equal(await page.inputValue('#proxy'), 'http://127.0.0.1:9')
    t.same(JSON.parse(await page.inputValue('#policy')), policy)
    t.match(await page.innerText('#from-link'), 'Whoever made the link chose what is accepted')
    t.same(asked.map(url => new URL(url).pathname), ['/'])
    t.equal((await verify(page)).title, 'No verdict')
  })

  t.test(`${name}: a policy file fills the field, where it can be read`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { page } = await open(t, site.url)
    await page.setInputFiles(
      '#policy-file', { name: 'policy.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(policy)) }
    )
    await page.locator('#status').filter({ hasText: 'policy.json' }).waitFor()
    t.same(JSON.parse(await page.inputValue('#policy')), policy)
  })

  t.test(`${name}: files that are of no use are named`, { skip: absent, timeout: 120_000 }, async t => {
    const { page } = await open(t, site.url)
    await page.click('#offline summary')
    for (const [content, message] of [
      ['hello', /neither JSON that is of use here nor/], ['[]', /neither JSON that is of use here nor/],
      ['{"a":1}', /none of the files/]
    ] as const) {
      await page.setInputFiles('#files', { name: 'some.file', mimeType: 'text/plain', buffer: Buffer.from(content) })
      const error = page.locator('#files-error').filter({ hasText: message })
      await error.waitFor()
      t.match(await error.innerText(), /^some\.file /)
    }
    await enter(page, { proxy: 'https://proxy.example.com', policy, files: { 'keys.json': '{"keys":[]}' } })
    await page.click('#verify')
    await page.locator('#files-error').filter(
      { hasText: 'the policy trusts no issuer whose keys are missing' }
    ).waitFor()
    t.pass('a key set that no issuer of the policy could have')
  })
}
