// The SDK's fetch against the image: streams, proven keys, several processes, and what becomes of them at the end.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { createPolarisFetch } from '@polaris-secure-proxy/sdk'
import type { AttestationPolicy } from '@polaris-secure-proxy/sdk/attestation'
import { startComposition } from './fixtures/composition.ts'
import { readImage } from './fixtures/layout.ts'
import { evaluate, podman } from './fixtures/podman.ts'

const run = promisify(execFile)
const { startProxy } = await startComposition(t, 'polaris-exchanges')

/** An echo under way: what is sent comes back, piece by piece. */
async function openEcho (url: string) {
  const { readable, writable } = new TransformStream<Uint8Array<ArrayBuffer>>()
  const [response, writer] = [
    createPolarisFetch({ baseURL: url })(`${url}/echo`, { method: 'POST', body: readable, duplex: 'half' }),
    writable.getWriter()
  ]
  const exchange = async (text: string) => {
    await writer.write(Buffer.from(text))
    reader ??= (await response).body?.pipeThrough(new TextDecoderStream()).getReader()
    return (await reader?.read())?.value
  }
  let reader: ReadableStreamDefaultReader<string> | undefined
  return {
    exchange,
    rest: async () => {
      await writer.close()
      return reader?.read()
    },
    next: async () => reader?.read(),
    give: () => writer.abort()
  }
}

/**
 * Resolves once nobody accepts connections any more. One that comes while workers hand back the port may be left
 * waiting by Node's cluster until the end: the next one is refused.
 */
async function closed (url: string) {
  for (let code: string | undefined; code !== 'ECONNREFUSED'; await sleep(20)) {
    code = await fetch(`${url}/polaris-container/livez`, { signal: AbortSignal.timeout(1_000) })
      .then(() => undefined, ({ cause }: { cause?: { code?: string } }) => cause?.code)
  }
}

const exitCode = () => podman('inspect', '--format', '{{.State.ExitCode}}', 'proxy')

t.test('streams pass through it in both directions, each piece before the next is sent', async t => {
  const { exchange, rest } = await openEcho(await startProxy(t))
  for (const text of ['one', 'two', 'three']) t.equal(await exchange(text), text)
  t.match(await rest(), { done: true }, 'and the end is proven')
})

t.test('as process 1, it lets a stream in flight finish on SIGTERM, while it accepts nobody new', async t => {
  const url = await startProxy(t)
  const { exchange, rest } = await openEcho(url)
  t.equal(await exchange('before'), 'before')
  const stopped = podman('stop', 'proxy')
  await closed(url)
  t.equal(await exchange('after'), 'after')
  t.match(await rest(), { done: true })
  await stopped
  t.equal(await exitCode(), '0')
})

t.test('an endless stream is cut off at the deadline, is not complete for its client, and it ends with 0', async t => {
  const { exchange, next, give } = await openEcho(await startProxy(t, { POLARIS_CONTAINER_STOP_TIMEOUT: '1s' }))
  t.equal(await exchange('before'), 'before')
  const cut = t.rejects(next(), { code: 'ERR_POLARIS_INCOMPLETE' })
  await podman('stop', 'proxy')
  await cut
  await give()
  t.equal(await exitCode(), '0')
  t.match(await podman('logs', 'proxy'), /cutting off exchanges that did not finish in time/)
})

t.test('keys that it proves are used, and those of another instance are not', async t => {
  const simulated = {
    POLARIS_CONTAINER_ATTESTATION_TYPE: 'simulated',
    POLARIS_CONTAINER_ATTESTATION_ALLOW_SIMULATED: 'true',
    POLARIS_CONTAINER_ATTESTATION_REQUIRED: 'true'
  }
  const file = join(t.testdir(), 'policy.json')
  const polaris = async (...words: string[]) => (await run(
    process.execPath, ['sdk/cli/main.ts', ...words], { cwd: new URL('..', import.meta.url) }
  )).stdout
  const greet = async (url: string) => (await createPolarisFetch(
    { baseURL: url, attestation: JSON.parse(readFileSync(file, 'utf8')) as AttestationPolicy }
  )(`${url}/hello?name=Ada`)).json()

  await t.test('proven', async t => {
    const url = await startProxy(t, simulated)
    await polaris('policy', 'init', url, '--development', '--output', file)
    t.match(await greet(url), { greeting: 'Hello, Ada' })
    t.match(await polaris('fetch', `${url}/hello?name=Grace`, '--policy', file), /Hello, Grace/)
  })
  await t.test('another instance', async t => {
    await t.rejects(greet(await startProxy(t, simulated)), { code: 'ERR_ATTESTATION' })
  })
})

t.test('several processes share its keys, on the same file system and within the same limits, and all end on ' +
  'SIGTERM', async t => {
  const url = await startProxy(t, { POLARIS_CONTAINER_WORKERS: '2' })
  const processes = Number(await evaluate('proxy', `
    import { readFileSync, readdirSync } from 'node:fs'
    const lines = readdirSync('/proc').filter(Number).map(pid => readFileSync('/proc/' + pid + '/cmdline', 'utf8').split('\\0'))
    console.log(lines.filter(words => words.some(word => /^(?:\\/app\\/)?server\\.ts$/.test(word))).length)
  `))
  t.equal(processes, 3, 'a primary and two workers')
  for (const protocol of ['ohttp', 'polaris-v1'] as const) {
    const polarisFetch = createPolarisFetch({ baseURL: url, protocol })
    const greetings = await Promise.all(
      Array.from({ length: 16 }, async () => (await polarisFetch(`${url}/hello?name=Ada`)).json() as Promise<object>)
    )
    t.same(greetings.filter(greeting => !('greeting' in greeting)), [], protocol)
  }
  const { exchange, rest } = await openEcho(url)
  t.equal(await exchange('before'), 'before')
  const stopped = podman('stop', 'proxy')
  await closed(url)
  t.equal(await exchange('after'), 'after')
  t.match(await rest(), { done: true })
  await stopped
  t.equal(await exitCode(), '0')
})

t.test('it says what it is, and nothing else', async t => {
  const { Labels } = readImage().config.config
  const about = await (await fetch(`${await startProxy(t)}/polaris-container/about`)).json()
  t.strictSame(about, {
    version: Labels['org.opencontainers.image.version'],
    commit: Labels['org.opencontainers.image.revision'],
    node: process.versions.node,
    protocols: ['ohttp', 'polaris-v1'],
    keyType: 'ephemeral',
    kems: ['X25519']
  })
})

t.test('every module in it loads, with all that it needs: nothing that some setting asks for was left out', async t => {
  await startProxy(t)
  const loaded = Number(await evaluate('proxy', `
    import { readdirSync } from 'node:fs'
    const modules = ['lib', 'plugins', 'routes'].flatMap(directory => readdirSync('/app/' + directory, { recursive: true, withFileTypes: true }))
      .filter(({ name }) => name.endsWith('.ts')).map(({ parentPath, name }) => parentPath + '/' + name)
    for (const module of modules) await import(module)
    console.log(modules.length)
    process.exit()
  `))
  t.ok(loaded > 90, `${loaded} modules`)
})
