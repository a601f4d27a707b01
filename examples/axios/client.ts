/** An application that uses axios through its fetch adapter, encrypted from end to end. Each step says what holds. */
import axios from 'axios'
import type { AxiosInstance } from 'axios'
import { createPolarisFetch } from '../../sdk/index.ts'
import type { Check } from '../json-server/client.ts'

/** Two options more than without encryption. */
export function createClient (proxyUrl: string): AxiosInstance {
  return axios.create(
    { baseURL: proxyUrl, adapter: 'fetch', env: { fetch: createPolarisFetch({ baseURL: proxyUrl }) } }
  )
}

/** What only the fetch adapter can do; all else is in the json-server example. */
export async function stream (client: AxiosInstance, check: Check): Promise<void> {
  const created = await client.post<{ id: number }>('/posts', { title: 'On streams', author: 'grace', likes: 1 })
  check('JSON is sent and received', created.status === 201 && created.data.id > 0)

  const { data: posts } = await client.get<ReadableStream<Uint8Array>>('/posts', { responseType: 'stream' })
  check('A response is read as a stream', (await new Response(posts).text()).includes('On streams'))

  let downloaded = 0
  await client.get('/posts', { onDownloadProgress: ({ loaded }) => { downloaded = loaded } })
  check('A download tells its progress', downloaded > 0)

  const form = new FormData()
  form.append('title', 'A form')
  const answered = await client.post('/posts', form, { validateStatus: null })
  check('A form is sent', answered.status < 500)

  const controller = new AbortController()
  const aborted = client.get('/posts', { signal: controller.signal }).catch((error: unknown) => error)
  controller.abort()
  check('A request is aborted', axios.isCancel(await aborted))
}
