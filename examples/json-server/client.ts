/** An application that uses json-server and uploads through encrypted axios. Each step says what holds. */
import axios from 'axios'
import type { AxiosInstance } from 'axios'
import {
  EphemeralKeyHandler, PolarisSDK, createAxiosRequestInterceptor, createAxiosResponseInterceptor
} from '../../sdk/index.ts'
import { noisePicture } from './picture.ts'
import { seed } from './workload.ts'

/** Told for each thing that should hold, whether it does. */
export type Check = (claim: string, holds: boolean) => void

export function createClient (proxyUrl: string): AxiosInstance {
  const polarisSDK = new PolarisSDK(new EphemeralKeyHandler())
  const client = axios.create({ baseURL: proxyUrl, timeout: 60_000 })
  client.interceptors.request.use(createAxiosRequestInterceptor({ polarisSDK }))
  client.interceptors.response.use(createAxiosResponseInterceptor({ polarisSDK }))
  return client
}

export async function useEverything (client: AxiosInstance, check: Check): Promise<void> {
  await editPosts(client, check)
  await shareAPicture(client, check)
  await makeMistakes(client, check)
}

interface Post { id: number, title: string, author: string, likes: number }

async function editPosts (client: AxiosInstance, check: Check): Promise<void> {
  const draft = { title: 'Grüße an die Nachwelt – 未来へ', author: 'ada', likes: 0 }
  const created = await client.post<Post>('/posts', draft)
  check('A post is created, with umlauts and kanji', created.status === 201 && created.data.title === draft.title)
  check('Response headers arrive', String(created.headers['location']).endsWith(`/posts/${created.data.id}`))

  const all = await client.get<Post[]>('/posts')
  check('The list has all posts', all.data.length === seed.posts.length + 1)

  const popular = await client.get<Post[]>(
    '/posts', { params: { author: 'ada', likes_gte: 40, _sort: 'likes', _order: 'desc' } }
  )
  check('A query string filters and sorts', popular.data.map(({ id }) => id).join() === '3,1')
  const page = await client.get<Post[]>('/posts?_page=2&_limit=2')
  check('A page of the list says how many there are', page.data.length === 2 && page.headers['x-total-count'] === '4')
  const found = await client.get<Post[]>('/posts', { params: { title: draft.title } })
  check('A query string with other scripts in it finds the post', found.data[0]?.id === created.data.id)

  const path = `/posts/${created.data.id}`
  const replaced = await client.put<Post>(path, { ...draft, likes: 1 })
  check('A post is replaced', replaced.data.likes === 1)
  const patched = await client.patch<Post>(path, { likes: 2 })
  check('A post is changed in part', patched.data.likes === 2 && patched.data.title === draft.title)

  const deleted = await client.delete(path)
  check('A post is deleted', deleted.status === 200)
  const gone = await client.get(path, { validateStatus: null })
  check('The deleted post is gone', gone.status === 404)
}

/** The tus protocol (tus.io): POST makes a place, PATCH fills it from an offset on, HEAD tells how far it got. */
async function shareAPicture (client: AxiosInstance, check: Check): Promise<void> {
  const picture = noisePicture(256)
  const headers = { 'tus-resumable': '1.0.0' }
  const metadata = `filename ${btoa('noise.png')},filetype ${btoa('image/png')}`
  const place = await client.post(
    '/files', undefined, { headers: { ...headers, 'upload-length': picture.length, 'upload-metadata': metadata } }
  )
  const path = String(place.headers['location'])
  check('A place for a picture is made', place.status === 201 && path.startsWith('/files/'))

  let offset = 0
  while (offset < picture.length) {
    const part = picture.subarray(offset, offset + 100_000)
    const { headers: { 'upload-offset': next } } = await client.patch(path, part, {
      headers: { ...headers, 'content-type': 'application/offset+octet-stream', 'upload-offset': offset }
    })
    if (Number(next) !== offset + part.length) break
    offset += part.length
  }
  check(`${picture.length} octets are uploaded in parts`, offset === picture.length)
  const state = await client.head(path, { headers })
  check('HEAD tells that the upload is complete', state.headers['upload-offset'] === String(picture.length))

  const download = await client.get<ArrayBuffer>(path, { responseType: 'arraybuffer' })
  check('The picture comes back octet for octet', picture.equals(Buffer.from(download.data)))
  check('It comes back as a picture', download.headers['content-type'] === 'image/png')
}

async function makeMistakes (client: AxiosInstance, check: Check): Promise<void> {
  const mistakes = [
    ['A post that is not there', 404, () => client.get('/posts/4711')],
    ['A collection that is not there', 404, () => client.get('/no-such-collection')],
    // 500 is json-server's own choice; it also prints the error.
    [
      'A body that is not JSON', 500,
      () => client.post('/posts', Buffer.from('{"title": '), { headers: { 'content-type': 'application/json' } })
    ],
    [
      'An upload of another tus version', 400,
      () => client.post('/files', undefined, { headers: { 'tus-resumable': '0.0.1', 'upload-length': 1 } })
    ],
    ['A download of a file that is not there', 404, () => client.get('/files/no-such-file')]
  ] as const

  for (const [mistake, expected, request] of mistakes) {
    try {
      await request()
      check(`${mistake} is an error`, false)
    } catch (error) {
      const response = axios.isAxiosError(error) ? error.response : undefined
      check(
        `${mistake} is ${expected}, and the workload's answer can be read`,
        response?.status === expected && isReadable(response.data)
      )
    }
  }
}

/** JSON, or a text of words: a sealed response that was not opened would be one long run of base64. */
function isReadable (data: unknown): boolean {
  return typeof data === 'object' || (typeof data === 'string' && /\s|^$/.test(data))
}
