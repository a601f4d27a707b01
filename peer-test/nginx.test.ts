/** nginx as the workload: folders, ranges, conditions, gzip, redirects. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../test/fixtures/process.ts'
import { compareAll, everywhere } from './fixtures/matrix.ts'
import { missing, startPeer, temporaryFolder } from './fixtures/peers.ts'

t.test('nginx through the proxy is nginx', { skip: missing('nginx', '-v') }, async t => {
  const root = temporaryFolder(t)
  const port = await freePort()
  mkdirSync(join(root, 'www/folder'), { recursive: true })
  for (const [name, content] of [
    ['index.html', '<p>hello</p>'.repeat(500)], ['folder/上海 čeština.txt', 'Grüße'],
    ['large.bin', Buffer.alloc(2 ** 20, 'ab')], ['empty', '']
  ] as const) {
    writeFileSync(join(root, 'www', name), content)
  }
  writeFileSync(join(root, 'nginx.conf'), `daemon off; worker_processes 1; pid ${root}/pid; error_log stderr;
events {}
http {
  access_log off; default_type text/plain; gzip on; gzip_types *; gzip_min_length 100;
  client_body_temp_path ${root}/body; proxy_temp_path ${root}/proxy; fastcgi_temp_path ${root}/f; uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;
  server {
    listen 127.0.0.1:${port}; root ${root}/www; autoindex on; charset utf-8;
    location /moved { return 301 /folder/; }
    location /nothing { return 204; }
    location /disposition { add_header Content-Disposition 'attachment; filename="日本 č.pdf"'; return 200 ok; }
  }
}`)
  const url = await startPeer(t, port, 'nginx', ['-p', root, '-c', join(root, 'nginx.conf'), '-e', 'stderr'])
  await compareAll(t, url, [
    ...everywhere, { target: '/folder' }, { target: '/folder/' },
    { target: '/folder/%E4%B8%8A%E6%B5%B7%20%C4%8De%C5%A1tina.txt' }, { target: '/moved' }, { target: '/nothing' },
    { target: '/disposition' }, { target: '/large.bin' }, { target: '/empty' },
    { method: 'HEAD', target: '/large.bin' },
    { target: '/index.html', headers: [['accept-encoding', 'gzip']] },
    { target: '/large.bin', headers: [['range', 'bytes=1-16384']] },
    { target: '/large.bin', headers: [['range', 'bytes=-5']] },
    { target: '/large.bin', headers: [['range', 'bytes=99999999-']] },
    { target: '/index.html', headers: [['if-modified-since', new Date(Date.now() + 1000).toUTCString()]] },
    { target: '/index.html', headers: [['if-match', '"x"']] },
    { target: '/index.html', headers: [['if-none-match', '*']] }
  ])
})
