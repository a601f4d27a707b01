/** An application that uses the `openai` package, encrypted from end to end. Each step says what holds. */
import OpenAI from 'openai'
import { createPolarisFetch } from '../../sdk/index.ts'
import { API_KEY, MODEL } from './workload.ts'

/** Told for each thing that should hold, whether it does. */
export type Check = (claim: string, holds: boolean) => void

export const PROMPT = 'My diagnosis is a broken difference engine. What do you advise? 未来へ'

/** One option more than without encryption. */
export function createClient (proxyUrl: string, apiKey = API_KEY): OpenAI {
  return new OpenAI({ baseURL: `${proxyUrl}/v1`, apiKey, fetch: createPolarisFetch({ baseURL: proxyUrl }) })
}

export async function useEverything (proxyUrl: string, check: Check): Promise<void> {
  const client = createClient(proxyUrl)
  const models = await client.models.list()
  check('Models are listed', models.data[0]?.id === MODEL)

  const whole = await client.chat.completions.create({ model: MODEL, messages: [{ role: 'user', content: PROMPT }] })
  check('A chat is completed', whole.choices[0]?.message.content === PROMPT)

  const words = await collect(await stream(client))
  check('A chat streams word by word', words.length === PROMPT.split(' ').length && words.join('') === PROMPT)

  const left = await stream(client)
  const chunks = left[Symbol.asyncIterator]()
  await chunks.next()
  await chunks.return?.()
  check('A stream can be left early', left.controller.signal.aborted)

  const file = await client.files.create(
    { file: new File([new Uint8Array(3_000_000)], 'scan.png'), purpose: 'assistants' }
  )
  check('A file is uploaded', file.bytes > 3_000_000)

  const wrongKey = await createClient(proxyUrl, 'sk-wrong').models.list().catch((error: unknown) => error)
  check(
    'The workload\'s own errors can be read',
    wrongKey instanceof OpenAI.AuthenticationError && wrongKey.message.includes('The API key is wrong')
  )
}

export function stream (client: OpenAI) {
  return client.chat.completions.create({ model: MODEL, stream: true, messages: [{ role: 'user', content: PROMPT }] })
}

async function collect (chunks: Awaited<ReturnType<typeof stream>>): Promise<string[]> {
  const words: string[] = []
  for await (const { choices } of chunks) {
    const word = choices[0]?.delta.content
    if (word) words.push(word)
  }
  return words
}
