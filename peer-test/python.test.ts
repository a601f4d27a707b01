/** Python's servers as the workload: http.server (HTTP/1.0), uvicorn with FastAPI, gunicorn with Flask. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createPolarisFetch } from '../sdk/index.ts'
import { freePort } from '../test/fixtures/process.ts'
import { startProxy } from '../test/fixtures/proxy.ts'
import { compareAll, everywhere } from './fixtures/matrix.ts'
import { folder, missing, pythonWithPackages, startPeer, temporaryFolder } from './fixtures/peers.ts'

const skip = missing('python3', '-m', 'venv', '--help')
const form = Buffer.from(
  `--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n${'z'.repeat(70_000)}\r\n--x--\r\n`
)

t.test('http.server', { skip }, async t => {
  const root = temporaryFolder(t)
  mkdirSync(join(root, 'folder'))
  writeFileSync(join(root, 'large.bin'), Buffer.alloc(2 ** 20, 'ab'))
  const port = await freePort()
  const url = await startPeer(
    t, port, 'python3', ['-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', root]
  )
  await compareAll(t, url, [
    ...everywhere.filter(({ method = 'GET' }) => method === 'GET' || method === 'HEAD'), { target: '/folder' },
    { target: '/folder/' }, { target: '/large.bin' }, { method: 'POST', body: Buffer.from('x') }
  ])
})

for (const [name, server] of [
  ['uvicorn with FastAPI', (port: string) => [
    '-m', 'uvicorn', '--app-dir', join(folder, 'python'), '--port', port, '--log-level', 'warning', 'app_fastapi:app'
  ]],
  ['gunicorn with Flask', (port: string) => [
    '-m', 'gunicorn', '--chdir', join(folder, 'python'), '--bind', `127.0.0.1:${port}`, '--threads', '8', '--log-level',
    'warning', 'app_flask:app'
  ]]
] as const) {
  t.test(name, { skip, timeout: 150_000 }, async t => {
    const port = await freePort()
    const url = await startPeer(t, port, pythonWithPackages(), server(String(port)))
    await compareAll(t, url, [
      ...everywhere, { target: '/items/' }, { target: '/items' }, {
        method: 'POST', target: '/items', body: Buffer.from('{"a":1}'), headers: [['content-type', 'application/json']]
      },
      {
        method: 'POST', target: '/items/', body: Buffer.from('{"a":1}'), headers: [['content-type', 'application/json']]
      }, { target: '/text', headers: [['accept-encoding', 'gzip']] },
      { method: 'POST', target: '/upload', body: form, headers: [['content-type', 'multipart/form-data; boundary=x']] },
      { target: '/events' }, { target: '/cookies' }, { target: '/disposition' }, { target: '/nothing' }
    ])
    const proxy = await startProxy(
      t, { workloadBaseUrl: url, enableInputEncryption: true, enableOutputEncryption: true }
    )
    const response = await createPolarisFetch({ baseURL: proxy.url })(
      '/items', { method: 'POST', body: '{"b":2}', headers: { 'content-type': 'application/json' } }
    )
    t.same([response.status, await response.json()], [200, { b: 2 }], 'the SDK follows the redirect with its body')
  })
}
