// EHBP in Go and in Rust, written from its description alone: against a proxy that demands encryption, and against
// vectors.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { simulated } from '../lib/platforms/local/simulated-evidence.ts'
import { polaris } from '../test/fixtures/polaris-cli.ts'
import { startProxy } from '../test/fixtures/proxy.ts'
import { ABSENT, loadVectors } from '../test/fixtures/vectors.ts'
import { startWire } from '../test/fixtures/wire.ts'
import { startWorkload } from '../test/fixtures/workload.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(120_000)

/** Around the size of the programs' frames, and of the proxy's. */
const SIZES = [1, 8191, 8192, 8193, 65_519, 65_520, 65_521, 1_000_000, 5_000_000]
const ROUNDS = 50

const workload = await startWorkload(t, (request, response) => {
  response.flushHeaders()
  request.pipe(response)
})
const attester = await simulated()
const { url } = await startProxy(
  t, { workloadBaseUrl: workload.url, enableEhbp: true, enableInputEncryption: true, enableOutputEncryption: true },
  { attester }
)
const folder = t.testdir({
  'policy.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } })
})
const proven = await polaris(['keys', url, '--policy', join(folder, 'policy.json'), '--format', 'ehbp'])

function run (program: string, words: readonly string[], base: string, input = ''): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, words, {
      env: { BASE_URL: base, EHBP_KEY: proven.stdout.trim() }, timeout: 60_000
    }, (error, stdout, stderr) => {
      if (error === null) resolve(JSON.parse(stdout))
      else reject(new Error(`${words[0]}: ${stderr || error.message}`))
    })
    child.stdin?.end(input)
  })
}

const lines = (values: Readonly<Record<string, unknown>>) =>
  Object.entries(values).filter(([, value]) => typeof value === 'string' && /^(?:[\da-f]{2})*$/.test(value)).map(
    ([name, value]) => `${name} ${String(value)}\n`
  ).join('')

const published = JSON.parse(
  readFileSync(new URL('../docs/vectors/ehbp.json', import.meta.url), 'utf8')
) as Record<string, unknown>
const derived = loadVectors<Record<string, string>>('ehbp-derive.json')
const sealed = loadVectors<Record<string, string>>('ehbp-response.json')

for (const [name, program] of [['Go', tools.goEhbp], ['Rust', tools.rustEhbp]] as const) {
  const missing = absent(program)
  t.test(name, missing === undefined ? {} : { skip: missing }, async t => {
    t.test('bodies of all sizes go both ways at once, to the key that was proven', async t => {
      const wire = await startWire(url)
      t.teardown(() => wire.close())
      t.same(await run(program, ['echo', ...SIZES.map(String)], wire.url), { echoed: SIZES.length })
      const seen = Buffer.concat([wire.sent(), wire.received()])
      t.ok(seen.length > 10_000_000, `${seen.length} bytes were seen`)
      t.notOk(seen.includes('0123456789abcdef'))
    })

    t.test('each piece is answered before the next is sent', async t => {
      t.same(await run(program, ['ping-pong', String(ROUNDS)], url), { rounds: ROUNDS })
    })

    t.test('it learns that its key is not the proxy\'s', async t => {
      t.same(
        await run(program, ['wrong-key'], url),
        { status: 422, type: 'urn:ietf:params:ehbp:error:key-config', media: 'application/problem+json' }
      )
    })

    t.test('what this project sealed opens there, and is sealed the same', async t => {
      t.same(await run(program, ['vectors'], url, lines(published)), {
        checked: [
          'keyConfig', 'request', 'exportedSecret', 'responseKey', 'responseNonceBase', 'response', 'responseBody'
        ]
      })
    })

    t.test('so does what the reference implementation sealed', derived && sealed ? {} : { skip: ABSENT }, async t => {
      const {
        exportedSecret, requestEnc: enc, responseNonce, derivedKey: responseKey, derivedNonceBase: responseNonceBase
      } = derived!
      const { plaintext: response, encryptedResponse: responseBody } = sealed!
      const vector = { exportedSecret, enc, responseNonce, responseKey, responseNonceBase, response, responseBody }
      t.same(
        await run(program, ['vectors'], url, lines(vector)),
        { checked: ['responseKey', 'responseNonceBase', 'response', 'responseBody'] }
      )
    })
  })
}
