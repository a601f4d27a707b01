/**
 * Serves the page, bundled with the SDK, from an origin of its own. What verifies evidence is in a file that is loaded
 * where it is needed.
 */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'

export interface Site {
  /** A browser counts http://localhost as secure, so that it has Web Crypto. */
  readonly url: string
  close (): Promise<void>
}

export async function startSite (): Promise<Site> {
  const here = import.meta.dirname
  const { outputFiles } = await build({
    entryPoints: { page: join(here, 'page.js'), sdk: join(here, '../../sdk/index.ts') },
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: '/',
    write: false
  })
  const files = new Map<string, { type: string, content: Uint8Array }>([
    ['/', { type: 'text/html; charset=utf-8', content: await readFile(join(here, 'index.html')) }],
    ...outputFiles.map(({ path, contents }) => [path, { type: 'text/javascript', content: contents }] as const)
  ])
  const server = createServer((request, response) => {
    const file = files.get(new URL(request.url ?? '/', 'http://localhost').pathname)
    if (file === undefined) response.writeHead(404).end()
    else response.setHeader('content-type', file.type).end(file.content)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  return {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    async close () {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    }
  }
}
