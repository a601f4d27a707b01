/** What was sealed is given back once the client's socket has it, and not before. */
import type { ServerResponse } from 'node:http'
import fastify from 'fastify'
import t from 'tap'
import polaris from '../../../app.ts'
import { createEphemeralProvider } from '../../../lib/platforms/local/ephemeral-keys.ts'
import { serverOptions } from '../../../plugins/server/options.ts'
import { encapsulate, fetchKey, requestHead, send } from '../../fixtures/ohttp-client.ts'
import { startWorkload } from '../../fixtures/workload.ts'

const CONTENT = Buffer.alloc(2 ** 20, 'x')

for (const chunked of [false, true]) {
  const form = chunked ? 'chunked' : 'one-shot'
  t.test(`the sealed pieces of a ${form} response are freed once they were sent`, async t => {
    const workload = await startWorkload(
      t, (_request, response) => response.setHeader('content-length', CONTENT.length).end(CONTENT)
    )
    const app = fastify(serverOptions)
    const pieces: { sealed: Uint8Array, length: number }[] = []
    app.server.prependListener('request', (_request, response: ServerResponse) => {
      const write = response.write.bind(response) as (...args: unknown[]) => boolean
      response.write = (...args: unknown[]) => {
        const [sealed] = args
        if (sealed instanceof Uint8Array) pieces.push({ sealed, length: sealed.length })
        return write(...args)
      }
    })
    const keyProvider = createEphemeralProvider({ modulusLength: 2048 })
    await app.register(polaris, { keyProvider, config: { workloadBaseUrl: workload.url } })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => app.close())

    const request = await encapsulate(await fetchKey(url), requestHead('GET', '/'), undefined, { chunked })
    const response = await request.open(await send(url, request))
    t.ok(response.body.equals(CONTENT))
    const large = pieces.filter(({ length }) => length >= 16_384)
    t.ok(large.reduce((sum, { length }) => sum + length, 0) > 900_000, 'nearly all of it')
    t.strictSame(large.map(({ sealed }) => sealed.length), large.map(() => 0))
  })
}
