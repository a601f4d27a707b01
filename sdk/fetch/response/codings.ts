/**
 * Content codings, undone as the platform's fetch undoes them: in Node with the same decoders and the same flags, in
 * browsers with what scripts can reach. The proxy asks workloads for none; some use one all the same.
 */
import type { Bytes } from '../../../lib/protocols/bytes.ts'
import { PolarisFetchError } from '../errors.ts'
import { byteStream } from '../streams.ts'

/** More than that is an attack on memory, or a mistake. Node's fetch draws the same line. */
const MAX_CODINGS = 5

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'
const NAMES = new Map<string, Coding>(
  [['gzip', 'gzip'], ['x-gzip', 'gzip'], ['deflate', 'deflate'], ['br', 'br'], ['zstd', 'zstd']]
)

/** Whether all codings in the header are ones that this fetch undoes. */
export function isKnownCoding (contentEncoding: string): boolean {
  return contentEncoding.toLowerCase().split(',').every(name => NAMES.has(name.trim()))
}

interface Pair {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

/** @param first the first byte that will be written: it tells deflate with a header from deflate without one */
type Decoder = (first: number) => Pair

/** What is used of Node, where it is Node. */
interface NodeModules {
  'node:zlib': {
    readonly constants: Readonly<Record<string, number>>
    createGunzip (options: object): object
    createInflate (options: object): object
    createInflateRaw (options: object): object
    createBrotliDecompress (options: object): object
    createZstdDecompress?: () => object
  }
  'node:stream': { Duplex: { toWeb (duplex: object): Pair } }
}

interface Host {
  readonly process?: {
    getBuiltinModule?: <Name extends keyof NodeModules> (name: Name) => NodeModules[Name] | undefined
  }
}

/**
 * The decoded body. A body with a coding that no platform knows is passed on untouched, and an empty one stays empty.
 *
 * The stream errors with ERR_POLARIS_CONTENT_CODING where the body is not what its coding says, or with what `body`
 * errors with.
 */
export function decoded (body: ReadableStream<Bytes>, contentEncoding: string | null): ReadableStream<Bytes> {
  if (contentEncoding === null || contentEncoding === '') return body
  const names = contentEncoding.toLowerCase().split(',').map(name => name.trim())
  if (names.length > MAX_CODINGS) {
    return failing(body, `The workload names ${names.length} content codings for one response, and at most ` +
      `${MAX_CODINGS} are undone: have it send fewer`)
  }
  const decoders: [name: string, decoder: Decoder | undefined][] = []
  for (const name of names) {
    const coding = NAMES.get(name)
    const decoder = coding && (nodeDecoder(coding) ?? webDecoder(coding))
    if (coding === undefined || decoder === 'untouched') return body
    decoders.push([name, decoder])
  }
  const [missing] = decoders.find(([, decoder]) => decoder === undefined) ?? []
  if (missing !== undefined) {
    return failing(body, `The workload encoded its response with ${missing}, which scripts cannot decode on this ` +
      `platform: have it send ${missing} only to clients that ask for it`)
  }
  // The last one was applied last.
  return decoders.reduceRight((stream, [name, decoder]) => decode(stream, name, decoder!), body)
}

/** Begins with the first byte: an empty body has no header that a decoder could find. */
function decode (source: ReadableStream<Bytes>, name: string, decoder: Decoder): ReadableStream<Bytes> {
  const reader = source.getReader()
  let output: ReadableStreamDefaultReader<Uint8Array> | undefined
  let failure: { readonly error: unknown } | undefined

  const read = async () => {
    try {
      return await reader.read()
    } catch (error) {
      failure = { error }
      throw error
    }
  }

  async function start (): Promise<ReadableStreamDefaultReader<Uint8Array> | undefined> {
    for (let { value, done } = await read(); !done; { value, done } = await read()) {
      const [first] = value!
      if (first === undefined) continue
      let piece: Uint8Array | undefined = value
      const rest = new ReadableStream<Uint8Array>({
        async pull (controller) {
          const next = piece ?? (await read()).value
          piece = undefined
          if (next === undefined) controller.close()
          else controller.enqueue(next)
        },
        async cancel (reason) { await reader.cancel(reason) }
      }, { highWaterMark: 0 })
      return rest.pipeThrough(decoder(first)).getReader()
    }
    return undefined
  }

  return byteStream({
    async pull () {
      try {
        output ??= await start()
        return (await output?.read())?.value
      } catch (cause) {
        if (failure !== undefined) throw failure.error
        throw new PolarisFetchError('ERR_POLARIS_CONTENT_CODING', `The response's content-encoding says ${name}, but ` +
          'its body is not that: the workload, or something between it and the proxy, encodes wrongly', { cause })
      }
    },
    async cancel (reason) { await (output ?? reader).cancel(reason) }
  })
}

function failing (body: ReadableStream<Bytes>, message: string): ReadableStream<Bytes> {
  return byteStream({
    async pull () {
      await body.cancel()
      throw new PolarisFetchError('ERR_POLARIS_CONTENT_CODING', message)
    },
    async cancel (reason) { await body.cancel(reason) }
  })
}

/**
 * As Node's own fetch decodes: lenient towards a body that ends early, as browsers and curl are. Undefined elsewhere.
 */
function nodeDecoder (coding: Coding): Decoder | 'untouched' | undefined {
  // What is built for browsers is without all of this.
  if ((globalThis as Host).process === undefined) return undefined
  const zlib = (globalThis as Host).process?.getBuiltinModule?.('node:zlib')
  const streams = (globalThis as Host).process?.getBuiltinModule?.('node:stream')
  if (zlib === undefined || streams === undefined) return undefined
  const { constants: { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } } = zlib
  const { toWeb } = streams.Duplex
  const sync = { flush: Z_SYNC_FLUSH, finishFlush: Z_SYNC_FLUSH }
  const flush = { flush: BROTLI_OPERATION_FLUSH, finishFlush: BROTLI_OPERATION_FLUSH }
  const { createZstdDecompress } = zlib
  switch (coding) {
    case 'gzip': return () => toWeb(zlib.createGunzip(sync))
    case 'deflate': return first => toWeb(isZlib(first) ? zlib.createInflate(sync) : zlib.createInflateRaw(sync))
    case 'br': return () => toWeb(zlib.createBrotliDecompress(flush))
    // Versions without it pass such bodies on, and so does their fetch.
    case 'zstd': return createZstdDecompress === undefined ? 'untouched' : () => toWeb(createZstdDecompress())
  }
}

function webDecoder (coding: Coding): Decoder | undefined {
  const formats: Record<Coding, string> = { gzip: 'gzip', deflate: 'deflate', br: 'brotli', zstd: 'zstd' }
  try {
    const make = (format: string) => new DecompressionStream(format as 'gzip') as unknown as Pair
    make(formats[coding])
    return first => make(coding === 'deflate' && !isZlib(first) ? 'deflate-raw' : formats[coding])
  } catch {
    // The platform does not know the format.
    return undefined
  }
}

/** The compression method of the zlib format is 8, in the low bits of its first byte (RFC 1950, section 2.2). */
function isZlib (first: number): boolean {
  return (first & 0x0f) === 8
}
