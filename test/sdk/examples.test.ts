/** Every exported function of the SDK has an example in its documentation, and each example runs as it stands. */
import { execFile } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { simulated } from '../../lib/platforms/local/simulated-evidence.ts'
import * as attestation from '../../sdk/attestation/index.ts'
import * as sdk from '../../sdk/index.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { servingTls } from '../fixtures/tls.ts'
import { startSocketWorkload } from '../fixtures/websockets.ts'
import { startWorkload } from '../fixtures/workload.ts'

t.setTimeout(300_000)
const root = join(import.meta.dirname, '../..')
/** Needs a file that only a machine with TDX makes. */
const NOT_RUN = new Set(['appraise'])

const isClass = (value: unknown) => /^class\b/.test(Function.prototype.toString.call(value))
const functions = [...Object.entries(sdk), ...Object.entries(attestation)].filter(
  ([, value]) => typeof value === 'function' && !isClass(value)
).map(([name]) => name)
const sources = readdirSync(join(root, 'sdk'), { recursive: true, encoding: 'utf8' })
  .filter(name => name.endsWith('.ts') && !name.startsWith('dist'))
  .map(name => readFileSync(join(root, 'sdk', name), 'utf8'))

/** The code of the example in the comment right above the function. */
function exampleOf (name: string): string | undefined {
  for (const source of sources) {
    const at = new RegExp(`^export (?:async )?function ${name}\\b`, 'm').exec(source)?.index
    if (at === undefined) continue
    const comment = source.slice(source.lastIndexOf('/**', at), at)
    return / \* @example\n \* ```ts\n([^]*?) \* ```/.exec(comment)?.[1]?.replace(/^ \* ?/gm, '')
  }
  return undefined
}

const workload = await startWorkload(t)
const proxy = await startProxy(
  t, { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true },
  { attester: await simulated() }
)
const sockets = await startSocketWorkload(t)
const overTls = await servingTls(await startProxy(
  t, { workloadBaseUrl: sockets.url, tls: 'attested', tlsPort: 0 }, { attester: await simulated() }
))
const folder = join(t.testdir({}), 'examples')
await mkdir(folder)

t.ok(functions.length >= 8, 'the functions were found')
for (const name of new Set(functions)) {
  t.test(`${name} has an example that runs`, async t => {
    const example = exampleOf(name)
    t.type(example, 'string')
    t.match(example, new RegExp(`\\b${name}\\b`))
    if (example === undefined || NOT_RUN.has(name)) return
    const file = join(folder, `${name}.ts`)
    await writeFile(file, example
      .replaceAll('https://proxy.example', proxy.url)
      .replaceAll('wss://proxy.example', `wss://127.0.0.1:${overTls}`))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--no-warnings', file])
    t.equal(stderr, '')
    t.not(stdout, '')
  })
}
