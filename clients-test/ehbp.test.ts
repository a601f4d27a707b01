// Python clients over EHBP, straight to a proxy that demands encryption, against the same model called directly.
import t from 'tap'
import { fetchEhbpKey } from '../test/fixtures/ehbp-client.ts'
import { QUESTION, SECRET, runClient, startChain, startModel } from './fixtures/chain.ts'
import { tools } from './fixtures/tools.ts'

t.setTimeout(120_000)

t.test('httpx, and openai over it: a chat whole and streamed, embeddings, a file', async t => {
  const direct = await startModel(t)
  const { gateway, wire } = await startChain(t, direct, { enableEhbp: true })
  const plain = await runClient<{ vector: number[] }>([tools.python, 'python/with_openai.py'], direct)
  const EHBP_KEY = (await fetchEhbpKey(gateway)).toString('hex')
  const { echo, ...encrypted } = await runClient<{ echo: string }>(
    [tools.python, 'python/with_ehbp.py'], gateway, { EHBP_KEY }
  )
  t.equal(echo, QUESTION)
  t.same(encrypted, plain)
  const seen = Buffer.concat([wire.sent(), wire.received()])
  t.notOk(seen.includes(QUESTION), 'bodies are not on the wire')
  t.ok(seen.includes(SECRET) && seen.includes('/v1/embeddings'), 'headers and paths are: EHBP does not hide them')
})
