// polaris fetch with what people's fingers know from curl, run as a process against the proxy.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { simulated } from '../../../lib/platforms/local/simulated-evidence.ts'
import { deafPort } from '../../fixtures/deaf-port.ts'
import { CLI, polaris } from '../../fixtures/polaris-cli.ts'
import { startProxy } from '../../fixtures/proxy.ts'
import { startWorkload } from '../../fixtures/workload.ts'

t.setTimeout(240_000)
const workload = await startWorkload(t)
const attester = await simulated()
const config = { workloadBaseUrl: workload.url, enableInputEncryption: true, enableOutputEncryption: true }
const { url } = await startProxy(t, config, { attester })
const folder = t.testdir({
  'policy.json': JSON.stringify(
    { version: 1, development: true, platforms: { simulated: { roots: [attester.root] } } }
  ),
  text: 'a b&c\n',
  'page.html': '<p>'
})
const file = (name: string) => join(folder, name)
const policy = ['--policy', file('policy.json')]

interface Echo {
  method: string
  url: string
  headers: Record<string, string>
  body: string
}

const requests: [args: string[], expected: {
  method?: string, url?: string, type?: string | RegExp, body?: string | RegExp, headers?: Record<string, string>
}][] = [
  [['-d', 'a=1', '-d', 'b=2'], { method: 'POST', body: 'a=1&b=2', type: 'application/x-www-form-urlencoded' }],
  [
    ['-d', 'a=1', '--data-raw', '@b', '--data-urlencode', 'c=ä &', '--data-binary', `@${file('text')}`],
    { body: 'a=1&@b&c=%C3%A4%20%26&a b&c\n' }
  ],
  [[
    '--data-urlencode', 'plain text', '--data-urlencode', '=a=b', '--data-urlencode', `file@${file('text')}`,
    '--data-urlencode', `@${file('text')}`
  ], { body: 'plain%20text&a%3Db&file=a%20b%26c%0A&a%20b%26c%0A' }],
  [['-G', '-d', 'q=1', '--data-urlencode', 'r=ü'], { method: 'GET', url: '/in?x=0&q=1&r=%C3%BC', body: '' }],
  [
    ['-X', 'GET', '-d', '{"query":{}}', '-H', 'content-type: application/json'],
    { method: 'GET', type: 'application/json', body: '{"query":{}}' }
  ],
  [[
    '-F', 'field=value', '-F', `page=@${file('page.html')};type=text/html;filename=other.html`, '-F',
    `text=<${file('text')}`
  ], {
    method: 'POST',
    type: /^multipart\/form-data; boundary=/,
    body: /name="field"\r\n\r\nvalue\r\n[^]*name="page"; filename="other\.html"\r\nContent-Type: text\/html\r\n\r\n<p>\r\n[^]*name="text"\r\n\r\na b&c\r\n/
  }],
  [['-T', file('page.html')], { method: 'PUT', url: '/in?x=0', body: '<p>' }],
  [
    ['-u', 'me:secret', '-A', 'agent/1'],
    { headers: { authorization: `Basic ${Buffer.from('me:secret').toString('base64')}`, 'user-agent': 'agent/1' } }
  ]
]
t.test('bodies, queries, forms, uploads and headers are those that curl makes', async t => {
  const compare = async ([args, expected]: typeof requests[number]) => {
    const { status, stdout, stderr } = await polaris(['fetch', `${url}/in?x=0`, ...policy, ...args])
    t.strictSame([status, stderr], [0, ''], args.join(' '))
    const echo = JSON.parse(stdout) as Echo
    const { type, body, ...rest } = expected
    t.match(
      echo, { ...rest, headers: { ...rest.headers, ...type !== undefined && { 'content-type': type } } }, args.join(' ')
    )
    if (body !== undefined) t.match(Buffer.from(echo.body, 'base64').toString(), body, args.join(' '))
  }
  // The proxy asks its platform for evidence four times at once, and turns away the fifth.
  for (let first = 0; first < requests.length; first += 4) {
    await Promise.all(requests.slice(first, first + 4).map(compare))
  }
  const { stdout } = await polaris(['fetch', `${url}/folder/`, ...policy, '-T', file('page.html')])
  t.match(
    JSON.parse(stdout) as Echo, { method: 'PUT', url: '/folder/page.html' }, 'a file\'s name is added to a folder'
  )
})

t.test('-I shows headers, -w writes what it is asked for, --json writes an object', async t => {
  const [head, written, asJson, failed, toFile] = await Promise.all([
    polaris(['fetch', url, ...policy, '-I']),
    polaris([
      'fetch', `${url}/x`, ...policy, '-s', '-o', '/dev/null', '-w',
      '%{http_code} %{method} %{content_type} %{size_download} %{url_effective} %header{content-type} 100%%\\n'
    ]),
    polaris(['fetch', url, ...policy, '--json']),
    polaris(['fetch', 'http://127.0.0.1:1/', '--insecure', '-s', '-w', '%{http_code} %{exitcode}']),
    polaris(['fetch', url, ...policy, '-o', '-'])
  ])
  t.match(head, { status: 0, stdout: /^HTTP 200\n(?:[\w-]+: .*\n)*\n$/ })
  t.match(
    written,
    { status: 0, stderr: '', stdout: new RegExp(`^200 GET application/json \\d+ ${url}/x application/json 100%\\n$`) }
  )
  t.match(JSON.parse(asJson.stdout), { status: 200, body: /"method":"GET"/ })
  t.strictSame(failed, { status: 2, stdout: '000 2', stderr: '' })
  t.match(toFile, { status: 0, stdout: /"method":"GET"/ })
  t.notOk(existsSync('-'), '- is standard output, not a file')
})

t.test('-s is silent, -S lets errors through, -v tells what was verified and no content', async t => {
  const [silent, shown, verbose] = await Promise.all([
    polaris(['fetch', 'http://127.0.0.1:1/', '--insecure', '-s']),
    polaris(['fetch', 'http://127.0.0.1:1/', '--insecure', '-sS']),
    polaris(
      ['fetch', `${url}/secret-path?secret`, ...policy, '-v', '-d', 'secret-body', '-H', 'x-secret: secret-header']
    )
  ])
  t.strictSame(silent, { status: 2, stdout: '', stderr: '' })
  t.match(shown, { status: 2, stderr: /^polaris: No keys: .*(?:ECONNREFUSED|bad port)/ })
  t.match(
    verbose,
    {
      status: 0,
      stderr: /✓ nonce[^]*verified: simulated[^]*key ohttp-keys sha256:[\da-f]{64}[^]*Chunked Oblivious HTTP[^]*sent 11 bytes of content in \d+ encrypted, received \d+ in \d+/
    }
  )
  t.notMatch(verbose.stderr, 'secret')
})

t.test('--max-time ends it, --retry tries again what was certainly not sent', async t => {
  const slow = await startWorkload(t, () => undefined)
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: slow.url }, { attester })
  const late = createServer().listen(0, '127.0.0.1')
  await once(late, 'listening')
  const { port } = late.address() as AddressInfo
  late.close()
  await once(late, 'close')
  const retried = polaris(
    ['fetch', `http://127.0.0.1:${port}/`, '--insecure', '--retry', '5', '-d', `@${file('text')}`]
  )
  const [timedOut] = await Promise.all([polaris(['fetch', proxy.url, ...policy, '--max-time', '1.5'])])
  t.match(timedOut, { status: 2, stdout: '', stderr: 'polaris: not done within --max-time, 1.5 s\n' })
  const forwarding = createServer((request, response) => {
    const headers = { 'content-type': String(request.headers['content-type'] ?? '') }
    const body: Buffer[] = []
    request.on('data', piece => body.push(piece)).on('end', () => {
      fetch(
        `${url}${request.url}`,
        { method: request.method ?? 'GET', headers, ...body.length > 0 && { body: Buffer.concat(body) } }
      )
        .then(async answer => response.writeHead(
          answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }
        ).end(Buffer.from(await answer.arrayBuffer())))
    })
  }).listen(port, '127.0.0.1')
  t.teardown(() => { forwarding.closeAllConnections(); forwarding.close() })
  const { status, stdout } = await retried
  t.equal(status, 0)
  t.equal(Buffer.from((JSON.parse(stdout) as Echo).body, 'base64').toString(), 'a b&c\n', 'with its body')
})

t.test('--connect-timeout bounds the time until there is a connection, and nothing else', {
  skip: process.platform !== 'linux' && 'other systems refuse what Linux drops'
}, async t => {
  const late = await startWorkload(t, (_request, response) => { setTimeout(() => response.end('late'), 2500) })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: late.url }, { attester })
  const [nobody, slow, wrong] = await Promise.all([
    polaris(['fetch', `http://127.0.0.1:${await deafPort(t)}/`, '--insecure', '--connect-timeout', '1', '-sS']),
    polaris(['fetch', proxy.url, ...policy, '--connect-timeout', '2']),
    polaris(['fetch', proxy.url, ...policy, '--connect-timeout', 'soon'])
  ])
  t.match(
    nobody,
    { status: 2, stdout: '', stderr: /cannot be reached: Connect Timeout Error .*timeout: 1000ms.*Nothing was sent/ }
  )
  t.strictSame(slow, { status: 0, stdout: 'late', stderr: '' })
  t.match(wrong, { status: 2, stderr: /--connect-timeout/ })
})

t.test('a full disk and an empty encoded body are said, and no stack is shown', async t => {
  const empty = await startWorkload(
    t, (_request, response) => { response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 0 }).end() }
  )
  const wrong = await startWorkload(
    t, (_request, response) => { response.writeHead(200, { 'content-encoding': 'gzip' }).end('not gzip') }
  )
  const packed = await startWorkload(
    t, (_request, response) => { response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('unpacked')) }
  )
  const proxies = await Promise.all(
    [empty, wrong, packed].map(({ url }) => startProxy(t, { ...config, workloadBaseUrl: url }, { attester }))
  )
  const full = (args: string[]) => new Promise<{ status: number | null, stderr: string }>(resolve => {
    const child = spawn(
      'sh', ['-c', '"$0" "$@" > /dev/full', process.execPath, '--no-warnings', CLI, ...args],
      { stdio: ['ignore', 'ignore', 'pipe'] }
    )
    let stderr = ''
    child.stderr.on('data', (piece: Buffer) => { stderr += piece.toString() })
    child.on('close', status => resolve({ status, stderr }))
  })
  const commands = [
    ['fetch', url, ...policy], ['fetch', url, ...policy, '--json'], ['fetch', url, ...policy, '-o', '/dev/full'],
    ['verify', url, ...policy], ['keys', url, ...policy], ['policy', 'init', url, '--development'], ['--help'],
    ['completion', 'bash']
  ]
  const results = await Promise.all(commands.map(full))
  for (const [i, { status, stderr }] of results.entries()) {
    t.match(
      { status, stderr },
      { status: 2, stderr: /polaris: cannot write (?:to standard output|\/dev\/full): ENOSPC, no space is left\n/ },
      commands[i]!.join(' ')
    )
    t.notMatch(stderr, /\n {4}at /)
  }
  const [nothing, refused, unpacked] = await Promise.all(proxies.map(({ url }) => polaris(['fetch', url, ...policy])))
  t.strictSame(nothing, { status: 0, stdout: '', stderr: '' })
  t.match(refused, { status: 1, stderr: /^polaris: The response's content-encoding says gzip/ })
  t.match(unpacked, { status: 0, stdout: 'unpacked' })
})

t.test('messages speak of the command\'s options, not of the SDK\'s', async t => {
  const redirecting = await startWorkload(
    t, (_request, response) => { response.writeHead(302, { location: 'https://elsewhere.example/there' }).end() }
  )
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: redirecting.url }, { attester })
  const results = await Promise.all([
    polaris(['fetch', proxy.url, ...policy, '-L']),
    polaris(['fetch', `${url}/outside`, ...policy, '--base', `${url}/prefix`]),
    polaris(['fetch', workload.url, '--insecure']),
    polaris(['fetch', url, ...policy, '--base', `${url}/?query`]),
    polaris(['fetch', url, ...policy, '--compressed']),
    polaris(['fetch', url, '--polcy', 'x']),
    polaris(['fetch', url, '--insecure', '--clock', 'gateway'])
  ])
  const expected = [
    /redirects to https:\/\/elsewhere\.example \(https:\/\/elsewhere\.example\/there\).*Leave out --location/,
    /not below .*\/prefix.*--base/, /check that the URL, or --base/, /--base must be an http or https URL/,
    /--compressed is refused: the length/, /unknown option '--polcy'\n\(Did you mean --policy\?\)/,
    /--clock gateway needs --policy/
  ]
  for (const [i, { stderr, status }] of results.entries()) {
    t.match(stderr, expected[i]!)
    t.notMatch(stderr, /baseURL|redirect: '|\bfetch's\b|createPolarisFetch|\n {4}at /)
    t.equal(status, 2)
  }
})

t.test('policies in UTF-16, as PowerShell saves them, and with a byte order mark', async t => {
  const { writeFile } = await import('node:fs/promises')
  const text = readFileSync(file('policy.json'), 'utf8')
  const utf16 = Buffer.from(`\ufeff${text}`, 'utf16le')
  await Promise.all([
    writeFile(file('utf16le.json'), utf16), writeFile(file('utf16be.json'), Buffer.from(utf16).swap16()),
    writeFile(file('bom.json'), `\ufeff${text}`), writeFile(file('latin.json'), Buffer.from([0x7b, 0xff]))
  ])
  const results = await Promise.all(['utf16le.json', 'utf16be.json', 'bom.json', 'latin.json'].map(
    name => polaris(['verify', url, '--policy', file(name)])
  ))
  t.strictSame(results.map(({ status }) => status), [0, 0, 0, 2])
  t.match(results[3], { stderr: /is not text: save it as UTF-8/ })
})

t.test('on a terminal, long downloads show their progress; in a pipe none', {
  skip: !existsSync('/usr/bin/script') && 'script(1) is not here'
}, async t => {
  const slow = await startWorkload(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 2_000_000 })
    response.write(Buffer.alloc(1_000_000))
    setTimeout(() => response.end(Buffer.alloc(1_000_000)), 1200)
  })
  const proxy = await startProxy(t, { ...config, workloadBaseUrl: slow.url }, { attester })
  const command = [
    process.execPath, '--no-warnings', CLI, 'fetch', proxy.url, ...policy, '-o', file('out')
  ].map(word => `'${word}'`).join(' ')
  const child = spawn(
    '/usr/bin/script', ['--quiet', '--return', '--command', command, '/dev/null'],
    { stdio: ['ignore', 'pipe', 'inherit'] }
  )
  let shown = ''
  child.stdout.on('data', (piece: Buffer) => { shown += piece.toString() })
  await once(child, 'close')
  t.match(shown, /downloaded 2\.0 MB of 2\.0 MB, 100 %/)
  t.strictSame(await polaris(['fetch', proxy.url, ...policy, '-o', file('out')]), { status: 0, stdout: '', stderr: '' })
})
