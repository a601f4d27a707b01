// polaris fetch, run as a process against the proxy: one encrypted request to proven keys, and exit statuses.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { CLI, polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)
const workload = await startWorkload(t)
const attester = await simulated()
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
const { url } = await startProxy(t, config, { attester })
const large = randomBytes(3_000_000)
const folder = t.testdir({
  'policy.json': JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
  ),
  'other.json': JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: ['A'.repeat(43)] } } }
  ),
  'body.json': '{"a":\n1}\n',
  large,
  out: 'before'
})
const file = (name: string) => join(folder, name)
const policy = ['--policy', file('policy.json')]

interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

t.test('a verified request gives what the workload answers, and nothing else', async t => {
  const { status, stdout, stderr } = await polaris(
    ['fetch', `${url}/records?patient=4711`, ...policy, '-H', 'x-one: 1', '-H', 'X-Two:2: 3', '-H', 'x-empty:']
  )
  t.strictSame([status, stderr], [0, ''])
  t.match(
    JSON.parse(stdout) as Echo,
    { method: 'GET', url: '/records?patient=4711', headers: { 'x-one': '1', 'x-two': '2: 3', 'x-empty': '' }, body: '' }
  )
})

const bodies: [args: string[], method: string, type: string, body: Buffer][] = [
  [['-d', 'a=1&b=2'], 'POST', 'application/x-www-form-urlencoded', Buffer.from('a=1&b=2')],
  [['-d', ''], 'POST', 'application/x-www-form-urlencoded', Buffer.alloc(0)],
  [
    ['--data', `@${file('body.json')}`, '-X', 'PUT', '-H', 'content-type: application/json'], 'PUT', 'application/json',
    Buffer.from('{"a":\n1}\n')
  ],
  [['-d', `@${file('large')}`], 'POST', 'application/x-www-form-urlencoded', large]
]
t.test('data, files', async t => {
  for (const [args, method, type, body] of bodies) {
    const { status, stdout, stderr } = await polaris(['fetch', `${url}/in`, ...policy, ...args])
    t.strictSame([status, stderr], [0, ''], 'and no progress where nobody watches')
    const echo = JSON.parse(stdout) as Echo
    t.match(echo, { method, headers: { 'content-type': type, 'content-length': String(body.length) } })
    t.ok(Buffer.from(echo.body, 'base64').equals(body))
  }
})

t.test('standard input and the response stream: an answer comes before the question has ended', async t => {
  const echoing = await startWorkload(t, (request, response) => { request.pipe(response) })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: echoing.url }, { attester })
  const child = spawn(process.execPath, ['--no-warnings', CLI, 'fetch', proxy.url, ...policy, '-d', '@-'])
  t.teardown(() => child.kill('SIGKILL'))
  for (const line of ['first', 'second']) {
    child.stdin.write(line)
    const [piece] = await once(child.stdout, 'data') as [Buffer]
    t.equal(piece.toString(), line)
  }
  child.stdin.end()
  const [status] = await once(child, 'close') as [number]
  t.equal(status, 0)
})

t.test('--include writes status and headers first; --output writes to a file', async t => {
  const result = await polaris(['fetch', url, ...policy, '-i', '-o', file('out')])
  t.strictSame(result, { status: 0, stdout: '', stderr: '' })
  t.match(
    readFileSync(file('out'), 'utf8'),
    /^HTTP 200\n(?:[\w-]+: .*\n)*content-type: application\/json\n(?:[\w-]+: .*\n)*\n\{"method":"GET"/
  )
  t.match(await polaris(['fetch', url, ...policy, '-o', '/dev/null']), { status: 0, stdout: '' })
})

t.test('--fail: 22, without the body; else a status is only a status', async t => {
  const failing = await startWorkload(t, (_request, response) => { response.writeHead(404).end('not here') })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: failing.url }, { attester })
  t.match(await polaris(['fetch', proxy.url, ...policy]), { status: 0, stdout: 'not here' })
  t.match(await polaris(['fetch', proxy.url, ...policy, '--fail']), { status: 22, stdout: '' })
})

t.test('redirects are followed where one says so', async t => {
  const moved = await startWorkload(t, (request, response) => {
    if (request.url === '/new') response.end('here')
    else response.writeHead(302, { location: '/new' }).end()
  })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: moved.url }, { attester })
  t.match(
    await polaris(['fetch', proxy.url, ...policy, '-i']), { status: 0, stdout: /^HTTP 302\n[^]*location: \/new\n/ }
  )
  t.match(await polaris(['fetch', proxy.url, ...policy, '-L']), { status: 0, stdout: 'here' })
})

t.test('a proxy below a path', async t => {
  const proxy = await startProxy(t, { ...config, contextRoot: '/ai' }, { attester })
  const { stdout } = await polaris(['fetch', `${proxy.url}/ai/v1`, '--base', `${proxy.url}/ai`, ...policy])
  t.match(JSON.parse(stdout) as Echo, { url: '/v1' })
})

t.test('a proxy that does not prove its keys is refused: 1, the check that failed is named, nothing was ' +
  'sent', async t => {
  const before = workload.received.length
  t.match(
    await polaris(['fetch', url, '--policy', file('other.json'), '-d', 'secret']),
    { status: 1, stdout: '', stderr: /✗ root[^]*refused: simulated/ }
  )
  t.equal(workload.received.length, before)
})

t.test('--insecure asks for no proof, and says so', async t => {
  t.match(
    await polaris(['fetch', url, '--insecure']),
    { status: 0, stdout: /"method":"GET"/, stderr: 'polaris: insecure: the proxy did not prove its keys\n' }
  )
})

t.test('a response that is cut off: 1, and the file is as it was', async t => {
  const cut = await startWorkload(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 10 })
    response.write('half', () => response.destroy())
  })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: cut.url }, { attester })
  const before = readFileSync(file('out'), 'utf8')
  t.match(
    await polaris(['fetch', proxy.url, ...policy, '-o', file('out')]), { status: 1, stdout: '', stderr: /^polaris: / }
  )
  t.equal(readFileSync(file('out'), 'utf8'), before)
  t.same(readdirSync(folder).filter(name => name.endsWith('.part')), [])
})

t.test('interrupted: nothing stays behind, and the file is as it was', async t => {
  const endless = await startWorkload(t, (_request, response) => { response.write('half') })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: endless.url }, { attester })
  const before = readFileSync(file('out'), 'utf8')
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const child = spawn(process.execPath, ['--no-warnings', CLI, 'fetch', proxy.url, ...policy, '-o', file('out')])
    t.teardown(() => child.kill('SIGKILL'))
    while (!existsSync(file('out.part'))) await new Promise(resolve => setTimeout(resolve, 20))
    child.kill(signal)
    t.same(await once(child, 'close'), [null, signal])
    t.notOk(existsSync(file('out.part')))
  }
  t.equal(readFileSync(file('out'), 'utf8'), before)
})

t.test('a reader that has had enough is no error', async t => {
  const child = spawn('sh', [
    '-c', '"$0" "$@" | head -c 1', process.execPath, '--no-warnings', CLI, 'fetch', url, ...policy, '-d',
    `@${file('large')}`
  ])
  let stderr = ''
  child.stderr.on('data', (piece: Buffer) => { stderr += piece.toString() })
  await once(child, 'close')
  t.equal(stderr, '')
})

const mistakes: [name: string, args: string[], stderr: RegExp][] = [
  ['neither policy nor --insecure', [url], /--policy .*--insecure/],
  ['both', [url, ...policy, '--insecure'], /exclude each other/],
  ['what is no URL', ['proxy.example.com', ...policy], /not an http or https URL: proxy\.example\.com/],
  ['what is no base', [url, ...policy, '--base', 'x'], /not an http or https URL: x/],
  [
    'a URL that is not below the base', [url, ...policy, '--base', 'https://proxy.example'],
    /not below https:\/\/proxy\.example/
  ],
  ['what is no method', [url, ...policy, '-X', 'G T'], /not a method/],
  ['a method that fetch has not', [url, ...policy, '-X', 'connect'], /not a method/],
  ['HEAD with data', [url, ...policy, '-I', '-d', 'x'], /a HEAD request has no body/],
  ['two bodies', [url, ...policy, '-d', 'x', '-F', 'a=b'], /--data and --form exclude each other/],
  ['a user without a password', [url, ...policy, '-u', 'secret'], /--user must be written as name:password/],
  ['what is no number of seconds', [url, ...policy, '--max-time', 'soon'], /--max-time must be a number of seconds/],
  ['an unknown variable', [url, ...policy, '-w', '%{http_cod}'], /--write-out knows no %\{http_cod\}/],
  ['what is no header', [url, ...policy, '-H', 'Bearer secret'], /a header must be written as 'name: value'/],
  [
    'a header that would be two', [url, ...policy, '-H', 'authorization: secret\r\nx: y'],
    /a header must be written as 'name: value'/
  ],
  ['a missing file', [url, ...policy, '-d', `@${file('missing')}`], /cannot read .*missing: ENOENT/],
  ['a folder', [url, ...policy, '-d', `@${folder}`], /cannot read .*: EISDIR/],
  ['a folder to write to', [url, ...policy, '-o', file('missing/out')], /cannot write .*: ENOENT/],
  [
    'nobody at the URL', ['http://127.0.0.1:9', '--insecure'],
    /^polaris: insecure.*\npolaris: No keys: http:\/\/127\.0\.0\.1:9\/.* cannot be reached/
  ],
  [
    'nobody to prove the keys', ['http://127.0.0.1:9', ...policy],
    /^polaris: http:\/\/127\.0\.0\.1:9\/polaris-container\/attestation is unreachable: bad port\n$/
  ]
]
t.test('mistakes: 2, and one says why, without secrets', async t => {
  await Promise.all(mistakes.map(async ([name, args, stderr]) => {
    const result = await polaris(['fetch', ...args])
    t.match(result, { status: 2, stdout: '', stderr }, name)
    t.notMatch(result.stderr, 'secret')
  }))
})

t.test('on a terminal, long uploads show their progress', {
  skip: !existsSync('/usr/bin/script') && 'script(1) is not here'
}, async t => {
  const command = [
    process.execPath, '--no-warnings', CLI, 'fetch', url, ...policy, '-d', `@${file('large')}`, '-o', file('out')
  ].map(word => `'${word}'`).join(' ')
  const child = spawn(
    '/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  let shown = ''
  child.stdout.on('data', (piece: Buffer) => { shown += piece.toString() })
  const [status] = await once(child, 'close') as [number]
  t.equal(status, 0)
  t.match(shown, /uploaded 3\.0 MB of 3\.0 MB, 100 %\r?\n/)
})
