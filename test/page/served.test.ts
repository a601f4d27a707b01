/**
 * The proxy serves the page if its operator asks, with a policy in its header that is no weaker than the page's own.
 */
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { buildPage, writePage } from '../../page/build.ts'
import { browsersFor } from '../fixtures/browsers.ts'
import { googleDeployment } from '../fixtures/google-attester.ts'
import { run } from '../fixtures/process.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { verify } from '../fixtures/verify-page.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.setTimeout(300_000)
const FILE = fileURLToPath(new URL('../../dist/polaris-verify.html', import.meta.url))
await writePage(FILE)
const workload = await startWorkload(t)
const google = await googleDeployment()
const config = {
  workloadBaseUrl: workload.url,
  contextRoot: '/mounted',
  verifyPage: true,
  enableInputEncryption: true,
  enableOutputEncryption: true
} as const

t.test('by default there is no page, and the workload is not asked for one', async t => {
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  t.equal((await fetch(`${url}/polaris-container/verify`)).status, 404)
  t.same(workload.received, [])
})

t.test('if the operator asks, it is the file that npm run page makes, at the root and below the context ' +
  'root', async t => {
  t.ok(existsSync(FILE))
  const { html } = await buildPage()
  const { url } = await startProxy(t, config)
  for (const path of ['/polaris-container/verify', '/mounted/polaris-container/verify']) {
    const response = await fetch(url + path)
    t.equal(response.status, 200)
    t.equal(response.headers.get('content-type'), 'text/html; charset=utf-8')
    t.equal(response.headers.get('cache-control'), 'no-store')
    t.equal(response.headers.get('x-content-type-options'), 'nosniff')
    t.equal(await response.text(), html)
    const policy = response.headers.get('content-security-policy') ?? ''
    t.match(
      policy, /^default-src 'none'; script-src 'sha256-[\w+/]{43}='; style-src 'sha256-[\w+/]{43}='; connect-src /
    )
    t.match(policy, /; require-trusted-types-for 'script'; trusted-types 'none'; frame-ancestors 'none'$/)
    t.notMatch(policy, /unsafe|\*(?!\s|;|$)/)
  }
  t.equal((await fetch(`${url}/polaris-container/verify`, { method: 'POST' })).status, 404)
})

t.test('if nobody has built it, the proxy does not start, and says how to build it', async t => {
  const project = join(t.testdir({ project: {} }), 'project')
  for (const name of ['lib', 'node_modules', 'package.json', 'plugins', 'routes', 'sdk', 'server.ts', 'app.ts']) {
    symlinkSync(fileURLToPath(new URL(`../../${name}`, import.meta.url)), join(project, name))
  }
  const server = run(t, ['--preserve-symlinks', '--preserve-symlinks-main', join(project, 'server.ts')], {
    PORT: '0', POLARIS_CONTAINER_WORKLOAD_BASE_URL: workload.url, POLARIS_CONTAINER_VERIFY_PAGE: 'true'
  })
  t.equal(await server.exit, 1)
  t.match(server.stderr(), /VERIFY_PAGE: dist\/polaris-verify\.html cannot be read \(ENOENT\): build it with npm run page/)
})

for (const { name, absent, open } of browsersFor(t)) {
  t.test(`${name}: it verifies the proxy that serves it, and says that this proves nothing to a sceptic`, {
    skip: absent, timeout: 120_000
  }, async t => {
    const { url } = await startProxy(t, config, { attester: google.attester })
    const { page, asked, complaints } = await open(t, `${url}/mounted/polaris-container/verify`)
    t.equal(await page.inputValue('#proxy'), `${url}/mounted`)
    t.match(
      (await page.innerText('#served')).replaceAll(/\s+/g, ' '),
      'A page from the party that is to be verified proves nothing to a sceptic'
    )
    const { title } = await verify(
      page, { policy: google.policy, files: { 'keys.json': JSON.stringify(google.keySets) } }
    )
    t.equal(title, 'Verified')
    t.same(asked.map(address => new URL(address).origin).filter(origin => origin !== url), [])
    t.same(complaints, [])
  })
}
