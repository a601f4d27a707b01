/** Clients that nobody here wrote: curl for plaintext, and the Rust crates ohttp and bhttp, in both forms of OHTTP. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import type { Test } from 'tap'
import { startProxy } from '../test/fixtures/proxy.ts'
import { startWorkload } from '../test/fixtures/workload.ts'
import { folder, missing, run, runAsync, temporaryFolder } from './fixtures/peers.ts'

const SIZES = [0, 1, 16383, 16384, 16385, 2 ** 20]

/** Answers with what it got. */
const echo = (t: Test) => startWorkload(t, (request, response) => {
  response.setHeader('x-latin', String(request.headers['x-latin'] ?? ''))
  request.pipe(response)
})

t.test('curl', { skip: missing('curl', '--version') }, async t => {
  const workload = await echo(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url })
  const root = temporaryFolder(t)
  for (const size of SIZES) {
    const body = Buffer.alloc(size, '0123456789')
    writeFileSync(join(root, 'body'), body)
    for (const args of [
      ['--data-binary', `@${root}/body`], ['--upload-file', `${root}/body`],
      ['--data-binary', `@${root}/body`, '--header', 'transfer-encoding: chunked'],
      ['--http1.0', '--data-binary', `@${root}/body`],
      ['--header', 'expect: 100-continue', '--data-binary', `@${root}/body`]
    ]) {
      await runAsync('curl', [
        '--silent', '--show-error', '--fail', '--max-time', '20', '--output', join(root, 'answer'), ...args, `${url}/x`
      ])
      t.equal(spawnSync('cmp', [join(root, 'body'), join(root, 'answer')]).status, 0, `${size} bytes, ${args[0]}`)
    }
  }
})

const old = /cargo 1\.([0-7]\d|8[0-4])\./.test(spawnSync('cargo', ['--version'], { encoding: 'utf8' }).stdout ?? '')
  ? 'cargo is older than the crates need'
  : false
t.test('Rust: ohttp and bhttp', { skip: missing('cargo', '--version') || old, timeout: 230_000 }, async t => {
  const target = process.env['CARGO_TARGET_DIR'] ?? join(temporaryFolder(t), 'target')
  run(
    'cargo', ['build', '--quiet', '--locked'],
    { cwd: join(folder, 'rust'), env: { ...process.env, CARGO_TARGET_DIR: target } }
  )
  const root = temporaryFolder(t)
  const workload = await echo(t)
  const { url } = await startProxy(t, { workloadBaseUrl: workload.url, enableInputEncryption: true })
  writeFileSync(join(root, 'keys'), Buffer.from(await (await fetch(`${url}/.well-known/ohttp-gateway`)).arrayBuffer()))
  for (const [form, type] of [['whole', 'message/ohttp'], ['stream', 'message/ohttp-chunked']] as const) {
    for (const size of SIZES) {
      const body = Buffer.alloc(size, '0123456789')
      writeFileSync(join(root, 'body'), body)
      const client = spawn(
        join(target, 'debug/polaris-peer'),
        [form, join(root, 'keys'), 'POST', '/x', new Date().toUTCString(), join(root, 'body')],
        { stdio: ['pipe', 'pipe', 'inherit'] }
      )
      const output = client.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      let message = Buffer.alloc(0)
      while (message.length < 4 || message.length < 4 + message.readUInt32BE(0)) {
        message = Buffer.concat([message, (await output.next()).value as Buffer])
      }
      const response = await fetch(
        url, { method: 'POST', body: message.subarray(4), headers: { 'content-type': `${type}-req` } }
      )
      t.match(response, { status: 200 })
      t.equal(response.headers.get('content-type'), `${type}-res`)
      const ended = once(client, 'close')
      client.stdin.end(Buffer.from(await response.arrayBuffer()))
      const answer = await buffer({ [Symbol.asyncIterator]: () => output } as AsyncIterable<Buffer> as never)
      await ended
      t.ok(answer.equals(Buffer.concat([Buffer.from('200\n'), body])), `${form}, ${size} bytes`)
    }
  }
})
