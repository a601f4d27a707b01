// The polaris command, run as a process: what is not a verdict is exit status 2, or help.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { CLI, attestingServer, polaris } from '../../fixtures/polaris-cli.ts'
import type { AttestingServer } from '../../fixtures/polaris-cli.ts'

t.setTimeout(240_000)
const server = await attestingServer(t)
const { url } = server
const folder = t.testdir({
  'pinless.json': JSON.stringify({ version: 1, platforms: { 'sev-snp': {} } }),
  'broken.json': '{'
})
const file = (name: string) => join(folder, name)

const unanswered: Array<[name: string, answer: AttestingServer['instead'], stderr: RegExp]> = [
  [
    '503', { status: 503, body: '' },
    /^polaris: http:\/\/127\.0\.0\.1:\d+\/polaris-container\/attestation answered 503\n$/
  ],
  ['something else', { status: 200, body: '<html>' }, /^polaris: Not an attestation document: JSON is expected\n$/],
  ['a redirect', { status: 302, body: '' }, /^polaris: http:\/\/127\.0\.0\.1:\d+\/polaris-container\/attestation /]
]
for (const [name, answer, stderr] of unanswered) {
  t.test(`a server that answers with ${name}: 2`, async t => {
    server.instead = answer
    t.teardown(() => { server.instead = undefined })
    const results = await Promise.all(
      [['verify'], ['keys'], ['policy', 'init']].map(command => polaris([...command, url]))
    )
    for (const result of results) t.match(result, { status: 2, stdout: '', stderr })
  })
}

const mistakes: Array<[name: string, args: string[], stderr: RegExp]> = [
  ['no command', [], /Usage: polaris/],
  ['an unknown command', ['verfiy', url], /unknown command 'verfiy'\n\(Did you mean verify\?\)/],
  ['no URL', ['verify'], /^polaris: give the base URL of the proxy, or --from with a folder that --save wrote\n$/],
  ['what is no URL', ['verify', 'proxy.example.com'], /not an http or https URL: proxy\.example\.com/],
  ['an unknown option', ['verify', url, '--polcy', 'x'], /unknown option '--polcy'/],
  ['a missing policy', ['verify', url, '--policy', file('missing.json')], /cannot read the policy .*ENOENT/],
  ['a broken policy', ['verify', url, '--policy', file('broken.json')], /The policy is not JSON/],
  ['a policy that pins nothing', ['verify', url, '--policy', file('pinless.json')], /pins no software/],
  [
    'nobody at the URL', ['verify', 'http://127.0.0.1:9'],
    /127\.0\.0\.1:9\/polaris-container\/attestation is unreachable: bad port\n$/
  ],
  [
    'credentials in the URL', ['verify', url.replace('//', '//user:secret@')],
    /^polaris: a URL must not contain credentials: remove them\n$/
  ]
]
t.test('mistakes: 2, and one says why', async t => {
  await Promise.all(mistakes.map(async ([name, args, stderr]) => {
    t.match(await polaris(args), { status: 2, stdout: '', stderr }, name)
  }))
})

t.test('help has examples, for each command, and is no mistake', async t => {
  await Promise.all([
    ['--help'], ['verify', '--help'], ['keys', '--help'], ['policy', '--help'], ['policy', 'init', '--help'],
    ['fetch', '--help'], ['help', 'verify']
  ].map(async args => {
    const { status, stdout } = await polaris(args)
    t.equal(status, 0, args.join(' '))
    t.match(stdout, /Examples:\n {2}\$ polaris /)
  }))
})

t.test('--version is the package\'s', async t => {
  const { version } = JSON.parse(await readFile(new URL('../../../sdk/package.json', import.meta.url), 'utf8'))
  t.strictSame(await polaris(['--version']), { status: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('a reader that has had enough of help or a verdict is no error', async t => {
  for (const args of [['fetch', '--help'], ['verify', url, '--development', '--json']]) {
    const child = spawn(process.execPath, ['--no-warnings', CLI, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.destroy()
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => { stderr += piece.toString() })
    const [status] = await once(child, 'close') as [number]
    t.equal(status, 0)
    t.notMatch(stderr, /EPIPE|at /)
  }
})
