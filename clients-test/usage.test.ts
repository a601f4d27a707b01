// Token counts of a model under uvicorn, which writes the head of an answer by itself: those of JSON go ahead of it all
// the same, those of a stream follow it.
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { startProxy } from '../test/fixtures/proxy.ts'
import { startModel } from './fixtures/chain.ts'
import { absent, tools } from './fixtures/tools.ts'

t.setTimeout(120_000)

async function ask (url: string, body: object): Promise<IncomingMessage> {
  const request = httpRequest(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } })
  request.end(JSON.stringify(body))
  const [response] = await once(request, 'response') as [IncomingMessage]
  await once(response.resume(), 'end')
  return response
}

const skip = absent(tools.python)
t.test('the counts of what the model says', { skip: skip ?? false }, async t => {
  const proxy = await startProxy(t, { workloadBaseUrl: await startModel(t), usage: 'on' })
  const question = { model: 'tiny', max_tokens: 9, messages: [{ role: 'user', content: 'why' }] }
  for (const path of ['/v1/chat/completions', '/v1/messages']) {
    const { headers } = await ask(proxy.url + path, question)
    t.equal(headers['polaris-usage'], 'input=7, output=3, total=10', path)
  }
  const { headers, trailers } = await ask(`${proxy.url}/v1/messages`, { ...question, stream: true })
  t.equal(headers['polaris-usage'], undefined)
  t.equal(trailers['polaris-usage'], 'input=7, output=3, total=10')
})
