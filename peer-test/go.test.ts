/** Go's net/http as the workload: trailers, early hints, file serving, chunks. */
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../test/fixtures/process.ts'
import { compareAll, everywhere } from './fixtures/matrix.ts'
import { folder, missing, run, startPeer, temporaryFolder } from './fixtures/peers.ts'

t.test('net/http through the proxy is net/http', { skip: missing('go', 'version'), timeout: 150_000 }, async t => {
  const build = temporaryFolder(t)
  run(
    'go', ['build', '-o', join(build, 'server'), '.'],
    { cwd: join(folder, 'go'), env: { ...process.env, GOFLAGS: '-mod=readonly' } }
  )
  const port = await freePort()
  const url = await startPeer(t, port, join(build, 'server'), [String(port)])
  await compareAll(t, url, [
    ...everywhere, { target: '/trailers' }, { target: '/hints' }, { target: '/redirect' }, { target: '/chunks' },
    { target: '/content' }, { target: '/content', headers: [['range', 'bytes=0-9,20-29']] },
    { target: '/content', headers: [['range', 'bytes=5-']] }, { target: '/nothing' }, { target: '/not-modified' },
    { method: 'POST', target: '/echo', body: Buffer.alloc(2 ** 20, 'abc') }
  ])
})
