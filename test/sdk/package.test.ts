/** The package as it is published: files, sizes, types, and a command that works where it is installed. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import { transform } from 'esbuild'
import t from 'tap'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import { build } from '../../sdk/build.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { startWorkload } from '../fixtures/workload.ts'

/** What browsers and Node have in common, and no more. */
const WEB_GLOBALS = [
  'AbortSignal', 'Blob', 'FormData', 'ReadableStream', 'Request', 'Response', 'TextDecoder', 'TextEncoder', 'URL',
  'URLSearchParams', 'atob', 'btoa', 'crypto', 'fetch'
] as const

const root = join(import.meta.dirname, '../..')
const consumer = t.testdir({ node_modules: { '@polaris-secure-proxy': {} } })
const dist = join(consumer, 'node_modules/@polaris-secure-proxy/sdk')
const sizes = await build(dist)

t.test('the browser\'s files stand alone', async t => {
  for (const [name, file, imported] of [
    ['browser', 'browser.js', ['import("./browser-attestation.js")']],
    ['attestation', 'browser-attestation.js', ['import("./browser-sigstore.js")']],
    ['sigstore', 'browser-sigstore.js', []]
  ] as const) {
    const code = await readFile(join(dist, file), 'utf8')
    t.equal(code.length > 0 && Buffer.byteLength(code), sizes[name].minified)
    t.ok(sizes[name].gzipped < sizes[name].minified)
    t.notMatch(code, /\bprocess\.|\brequire\(|"node:|\bfrom"[\w.@]/, 'nothing of Node, nothing imported before it runs')
    t.same(code.match(/\bimport\("[^"]*"\)/g) ?? [], imported)
  }
  const readme = (await readFile(join(dist, 'README.md'), 'utf8')).replaceAll('\n', ' ')
  const told = [...readme.matchAll(/ of (\d+) KB, (\d+) KB with gzip/g)].flatMap(
    ([, minified, gzipped]) => [Number(minified), Number(gzipped)]
  )
  const found = [sizes.browser, sizes.attestation, sizes.sigstore].flatMap(
    ({ minified, gzipped }) => [minified / 1000, gzipped / 1000]
  )
  t.equal(told.length, found.length)
  for (const [i, size] of found.entries()) {
    t.ok(Math.abs(told[i]! - size) < 0.05 * size, `the README tells ${told[i]} KB of ${size}`)
  }
  t.notMatch(
    await readFile(join(dist, 'browser.js'), 'utf8'), /\bBuffer\b|sevsnpvm|SEV-VCEK/,
    'what verifies evidence is not in the first'
  )
})

t.test('it runs with only what the web gives, and seals and opens', async t => {
  const { code } = await transform(
    await readFile(join(dist, 'browser.js'), 'utf8'), { format: 'iife', globalName: 'sdk' }
  )
  const context = createContext(Object.fromEntries(WEB_GLOBALS.map(name => [name, globalThis[name]])))
  runInContext(code, context)
  const result = await runInContext(`(async () => {
    const client = new sdk.PolarisSDK(new sdk.EphemeralKeyHandler())
    const message = await client.encrypt('grüße', await client.getPublicKey())
    const plaintext = await client.decrypt(message)
    return [Object.getPrototypeOf(plaintext) === Uint8Array.prototype, new TextDecoder().decode(plaintext), Object.keys(sdk)]
  })()`, context) as [boolean, string, string[]]
  t.equal(result[0], true, 'octets are plain Uint8Arrays there')
  t.equal(result[1], 'grüße')
  for (const name of [
    'PolarisSDK', 'EphemeralKeyHandler', 'createAxiosRequestInterceptor', 'createAxiosResponseInterceptor'
  ]) {
    t.ok(result[2].includes(name), name)
  }
})

t.test('the package holds what it points to, and no sources', async t => {
  const manifest = JSON.parse(await readFile(join(dist, 'package.json'), 'utf8'))
  t.match(manifest, {
    name: '@polaris-secure-proxy/sdk',
    type: 'module',
    license: 'AGPL-3.0-only',
    repository: { directory: 'sdk' },
    scripts: undefined,
    private: undefined
  })
  t.match(
    manifest.repository, { url: /^git\+https:\/\/github\.com\/[\w-]+\/polaris-secure-proxy\.git$/ },
    'without it npm accepts no provenance'
  )
  const exported = ['.', './attestation'].flatMap(name => Object.values<string>(manifest.exports[name]))
  for (const path of [...exported, manifest.bin.polaris, 'README.md', 'LICENSE']) {
    t.ok(existsSync(join(dist, path)), path)
  }
  const files = (await readdir(dist, { recursive: true })).filter(name => /(?<!\.d)\.ts$/.test(name))
  t.same(files, [])
  for (const name of await readdir(dist, { recursive: true })) {
    if (name.endsWith('.d.ts')) t.notMatch(await readFile(join(dist, name), 'utf8'), /\.ts['"]/, name)
  }
  const { PolarisSDK, createPolarisFetch } = await import(pathToFileURL(join(dist, 'index.js')).href)
  t.type(PolarisSDK, 'function', 'Node loads it')
  const {
    AttestationFetchError, AttestationPolicyError
  } = await import(pathToFileURL(join(dist, 'attestation.js')).href)
  const attestation = (policy: object) => createPolarisFetch({ baseURL: 'http://127.0.0.1:9', attestation: policy })
  t.throws(() => attestation({}), AttestationPolicyError)
  const error = await attestation(
    { version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } }
  )('/').catch((error: unknown) => error)
  t.type(error, AttestationFetchError, 'and what verifies evidence with it, which has the same classes')
})

t.test('its types serve those who use them, with the types of Node and with those of browsers', async t => {
  await symlink(join(root, 'node_modules/axios'), join(consumer, 'node_modules/axios'))
  await mkdir(join(consumer, 'node_modules/@types'))
  await symlink(join(root, 'node_modules/@types/node'), join(consumer, 'node_modules/@types/node'))
  await writeFile(join(consumer, 'app.ts'), `
    import axios from 'axios'
    import { createAxiosRequestInterceptor, createAxiosResponseInterceptor, createPolarisFetch, EphemeralKeyHandler, PolarisSDK } from '@polaris-secure-proxy/sdk'
    import type { AttestationPolicy, KeyHandler } from '@polaris-secure-proxy/sdk'
    import { AttestationError } from '@polaris-secure-proxy/sdk/attestation'
    const handler: KeyHandler = new EphemeralKeyHandler()
    const polarisSDK = new PolarisSDK(handler)
    axios.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK, fetch }))
    axios.create().interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
    const policy: AttestationPolicy = { version: 1, platforms: { 'sev-snp': { measurements: ['00'] } } }
    const failedChecks = (error: unknown): string[] => error instanceof AttestationError ? error.verdict.checks.map(({ name }) => name) : []
    const fetches = [policy, { policy, maxAge: 60, keySets: {} }].map(attestation => createPolarisFetch({ baseURL: 'https://proxy.example', attestation }))
    export const names: Promise<string[]> = fetches[0]!('/').then(() => [], failedChecks)
    export const octets: Promise<Uint8Array<ArrayBuffer>> = polarisSDK.encrypt('x', await polarisSDK.getPublicKey())
  `)
  await writeFile(join(consumer, 'package.json'), '{ "type": "module" }')
  const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')
  const strict = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, module: 'nodenext', target: 'esnext' }
  for (const [name, options] of Object.entries({
    node: { lib: ['esnext'], types: ['node'] },
    // axios's own types name some of Node's.
    browser: { lib: ['esnext', 'dom', 'dom.iterable'], types: [], skipLibCheck: true }
  })) {
    await writeFile(
      join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...strict, ...options }, files: ['app.ts'] })
    )
    const { stdout } = await promisify(execFile)(
      process.execPath, [tsc, '-p', consumer]
    ).catch((error: { stdout: string }) => error)
    t.equal(stdout, '', name)
  }
})

t.test('its command, which npx runs, works beside nothing but the package\'s dependencies', async t => {
  const { bin, dependencies } = JSON.parse(
    await readFile(join(dist, 'package.json'), 'utf8')
  ) as { bin: { polaris: string }, dependencies: Record<string, string> }
  // Outside of the project, so that nothing else is found.
  const folder = await mkdtemp(join(tmpdir(), 'polaris-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const modules = join(folder, 'node_modules')
  const installed = join(modules, '@polaris-secure-proxy/sdk')
  await cp(dist, installed, { recursive: true })
  for (const name of Object.keys(dependencies)) {
    await mkdir(join(modules, name, '..'), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(modules, name))
  }
  const command = join(installed, bin.polaris)
  t.match(await readFile(command, 'utf8'), /^#!\/usr\/bin\/env node\n/)

  const workload = await startWorkload(t)
  const attester = await simulated()
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true }, { attester })
  const policy = join(folder, 'policy.json')
  await writeFile(
    policy, JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } })
  )
  const { stdout } = await promisify(execFile)(process.execPath, [command, 'fetch', `${url}/x`, '--policy', policy])
  t.match(JSON.parse(stdout), { method: 'GET', url: '/x' })
})
