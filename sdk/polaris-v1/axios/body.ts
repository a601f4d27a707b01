/** Request bodies as octets: of everything that axios can send. */
import { UnsupportedRequestError } from '../../errors.ts'
import { isArrayBuffer, toOctets } from '../octets.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import type { AxiosConfigLike, AxiosHeadersLike } from './types.ts'

/** Node's streams, and those of the form-data package, which are older than async iteration. */
interface EventStream {
  on (event: 'data', listener: (chunk: string | Uint8Array) => void): unknown
  on (event: 'end' | 'close', listener: () => void): unknown
  on (event: 'error', listener: (error: Error) => void): unknown
  pipe: unknown
  resume (): unknown
  destroyed?: boolean
  getHeaders?: () => Record<string, string>
}

type Transform = (this: AxiosConfigLike, data: unknown, headers: AxiosHeadersLike) => unknown

/**
 * Does to the body what axios would do after the interceptors: applies `transformRequest`, sets the content type.
 * The legacy protocol seals a body as a whole, so streams are read to their end.
 *
 * @param headers the request's own, changed here
 * @returns undefined where there is no body
 * @throws {UnsupportedRequestError}
 */
export async function requestBody (config: AxiosConfigLike, headers: AxiosHeadersLike): Promise<Bytes | undefined> {
  const transforms = [config.transformRequest ?? []].flat() as Transform[]
  let data = config.data
  for (const transform of transforms) data = transform.call(config, data, headers)
  // For a view axios sends all of the memory behind it. Only what it shows was meant.
  if (ArrayBuffer.isView(config.data) && data === config.data.buffer) data = config.data
  if (!data) return undefined

  const { octets, type } = await read(data)
  if (type !== undefined) headers.set('Content-Type', type, /^multipart\//.test(type))
  if (/^(post|put|patch)$/i.test(config.method ?? '')) {
    headers.set('Content-Type', 'application/x-www-form-urlencoded', false)
  }
  return octets
}

async function read (data: NonNullable<unknown>): Promise<{ octets: Bytes, type?: string | undefined }> {
  if (typeof data === 'string' || isArrayBuffer(data) || ArrayBuffer.isView(data)) return { octets: toOctets(data) }
  if (data instanceof FormData || data instanceof URLSearchParams || data instanceof Blob ||
    data instanceof ReadableStream) {
    // The platform writes the body and, with its boundary, the type.
    const body = new Response(data)
    return { octets: new Uint8Array(await body.arrayBuffer()), type: body.headers.get('content-type') ?? undefined }
  }
  if (isEventStream(data)) return { octets: await collect(data), type: data.getHeaders?.()['content-type'] }
  throw new UnsupportedRequestError('This type of data cannot be encrypted: use an object, string, Uint8Array, ' +
    'ArrayBuffer, URLSearchParams, FormData, Blob or a stream')
}

function isEventStream (data: NonNullable<unknown>): data is EventStream {
  const { on, pipe, resume } = data as Partial<EventStream>
  return typeof on === 'function' && typeof pipe === 'function' && typeof resume === 'function'
}

function collect (stream: EventStream): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new UnsupportedRequestError('The stream in data was closed before its end'))
    if (stream.destroyed) closed()
    const chunks: Bytes[] = []
    stream.on('data', chunk => chunks.push(toOctets(chunk)))
    stream.on('error', reject)
    stream.on('close', closed)
    stream.on('end', () => {
      new Blob(chunks).arrayBuffer().then(buffer => resolve(new Uint8Array(buffer)), reject)
    })
    stream.resume()
  })
}
