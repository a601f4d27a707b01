// The polaris command, run as a process: verdicts, keys, policies.
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { attestingServer, polaris } from '../../fixtures/polaris-cli.ts'

t.setTimeout(240_000)
const server = await attestingServer(t)
const { url, keys } = server

const folder = t.testdir({
  'own.json': JSON.stringify({ version: 1, development: true, platforms: { simulated: { roots: [server.root] } } }),
  'other.json': JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: ['A'.repeat(43)] } } }
  ),
  'production.json': JSON.stringify({ version: 1, platforms: { 'sev-snp': { measurements: ['aa'.repeat(48)] } } })
})
const file = (name: string) => join(folder, name)

t.test('verify prints each check and exits with 0 where all passed', async t => {
  const { status, stdout, stderr } = await polaris(['verify', url, '--policy', file('own.json')])
  t.equal(status, 0)
  t.match(stdout, /✓ nonce +The document answers this client's nonce\n/)
  t.match(stdout, /\nverified: simulated\n$/)
  t.equal(stderr, '')
  t.notMatch(stdout, '\u001b', 'no colours where nobody looks')
})

t.test('verify exits with 1 and names what failed', async t => {
  const { status, stdout } = await polaris(['verify', url, '--policy', file('other.json')])
  t.equal(status, 1)
  t.match(stdout, /✗ root +The development root is "[\w-]{43}", which the policy does not accept\n/)
  t.match(stdout, /\nrefused: simulated, 1 of \d+ checks failed\n$/)
})

t.test('simulated evidence is refused by production policies, and without a policy', async t => {
  for (const args of [['--policy', file('production.json')], []]) {
    const { status, stdout } = await polaris(['verify', url, ...args])
    t.equal(status, 1)
    t.match(stdout, /✗ platform/)
  }
})

t.test('verify without a policy says what that is worth', async t => {
  const { status, stderr } = await polaris(['verify', url, '--development'])
  t.equal(status, 0)
  t.match(stderr, /no policy was given, so any software passes/)
})

t.test('verify --json is for machines', async t => {
  for (const [name, verified] of [['own.json', true], ['other.json', false]] as const) {
    const { status, stdout } = await polaris(['verify', url, '--json', '--policy', file(name)])
    t.equal(status, verified ? 0 : 1)
    t.match(JSON.parse(stdout), {
      verified,
      tee: 'simulated',
      checks: [{ name: 'nonce', outcome: 'passed' }],
      keys: [{ kind: 'polaris-v1-spki', value: 'AQID' }]
    })
  }
})

t.test('colours are for those who ask, and NO_COLOR is respected', async t => {
  t.match((await polaris(['verify', url, '--policy', file('own.json')], { FORCE_COLOR: '1' })).stdout, '\u001b[32m')
  t.notMatch((await polaris(['verify', url, '--policy', file('own.json')], { NO_COLOR: '1' })).stdout, '\u001b')
})

t.test('keys prints what is proven, and nothing on standard output otherwise', async t => {
  const { status, stdout } = await polaris(['keys', url, '--policy', file('own.json')])
  t.equal(status, 0)
  t.equal(
    stdout,
    keys.map(({ kind, value }) => `${kind} sha256:${createHash('sha256').update(value).digest('hex')}\n`).join('')
  )
  t.match(
    JSON.parse((await polaris(['keys', url, '--json', '--policy', file('own.json')])).stdout),
    [{ value: 'AQID' }, { value: 'BA' }]
  )
  const refused = await polaris(['keys', url, '--policy', file('other.json')])
  t.match(refused, { status: 1, stdout: '', stderr: /✗ root/ })
})

t.test('policy init writes a policy that accepts this deployment, into a new file only', async t => {
  const output = file('new.json')
  const { status, stdout, stderr } = await polaris(['policy', 'init', url, '--development', '--output', output])
  t.match({ status, stdout }, { status: 0, stdout: '' })
  t.equal(stderr, 'polaris: simulated evidence proves nothing: this policy is for development\n')
  t.same(
    JSON.parse(await readFile(output, 'utf8')),
    { version: 1, development: true, platforms: { simulated: { roots: [server.root] } } }
  )
  t.match(await polaris(['verify', url, '--policy', output]), { status: 0 })
  await writeFile(output, 'reviewed')
  t.match(await polaris(['policy', 'init', url, '--development', '--output', output]), { status: 2, stderr: /EEXIST/ })
  t.equal(await readFile(output, 'utf8'), 'reviewed')
  t.match(JSON.parse((await polaris(['policy', 'init', url, '--development'])).stdout), { version: 1 })
  t.match(
    await polaris(['policy', 'init', url]), { status: 1, stdout: '', stderr: /✗ platform/ },
    'simulated evidence needs --development'
  )
})
