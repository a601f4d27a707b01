/**
 * From the options of `polaris fetch` to a request. Finds everything that can be wrong with them before anything is
 * sent.
 */
import { basename } from 'node:path'
import { parseUrl } from '../appraise.ts'
import { UsageError } from '../status.ts'
import { joinData, streamedFile } from './data.ts'
import type { DataPart } from './data.ts'
import { makeForm } from './form.ts'
import type { FetchOptions } from './options.ts'
import { openUpload } from './upload.ts'

export interface PreparedRequest {
  readonly url: string
  readonly init: RequestInit & { method: string, headers: Headers }
  /** What is known of the body's length. */
  readonly length: number
  /** Whether the body is standard input, which can be read once only. */
  readonly once: boolean
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FORM = 'application/x-www-form-urlencoded'

/** @throws {UsageError} */
export async function prepareRequest (
  given: string, options: FetchOptions, parts: readonly DataPart[]
): Promise<PreparedRequest> {
  const url = parseUrl(given)
  const source = sourceOf(options, parts)
  const method = options.request ?? defaultMethod(options, source)
  if (!METHOD.test(method) || /^(?:CONNECT|TRACE|TRACK)$/i.test(method)) {
    throw new UsageError(`not a method that can be sent: ${method}`)
  }
  if (source !== undefined && source !== 'query' && /^HEAD$/i.test(method)) {
    throw new UsageError('a HEAD request has no body')
  }

  const headers = parseHeaders(options)
  const init = { method, headers, redirect: options.location === true ? 'follow' as const : 'manual' as const }
  if (source === undefined) return { url: given, init, length: 0, once: false }
  if (source === 'query') {
    const query = Buffer.from(await joinData(parts)).toString()
    url.search = url.search === '' ? query : `${url.search}&${query}`
    return { url: url.href, init, length: 0, once: false }
  }
  if (source === 'form') {
    return {
      url: given,
      init: { ...init, body: await makeForm(options.form) },
      length: 0,
      once: options.form.some(field => /=[@<]-(?:;|$)/.test(field))
    }
  }
  const file = source === 'data' ? streamedFile(parts) : options.uploadFile
  if (source === 'data' && !headers.has('content-type')) headers.set('content-type', FORM)
  if (file === undefined) {
    const body = await joinData(parts)
    return {
      url: given,
      init: { ...init, body },
      length: body.length,
      once: parts.some(({ kind, value }) => kind !== 'raw' && /^[^=]*@-$/.test(value))
    }
  }
  if (source === 'file' && url.pathname.endsWith('/') && file !== '-') {
    url.pathname += encodeURIComponent(basename(file))
  }
  const terminal = process.stderr.isTTY && options.silent !== true ? process.stderr : undefined
  const upload = await openUpload(file, headers, terminal)
  return {
    url: source === 'file' ? url.href : given,
    init: { ...init, ...upload as Pick<RequestInit, 'body'> },
    length: Number(headers.get('content-length') ?? 0),
    once: file === '-'
  }
}

type Source = 'data' | 'query' | 'form' | 'file'

function sourceOf ({ form, get, uploadFile }: FetchOptions, parts: readonly DataPart[]): Source | undefined {
  const sources: [name: string, source: Source][] = []
  if (parts.length > 0) sources.push(['--data', get === true ? 'query' : 'data'])
  if (form.length > 0) sources.push(['--form', 'form'])
  if (uploadFile !== undefined) sources.push(['--upload-file', 'file'])
  if (sources.length > 1) {
    throw new UsageError(`${sources.map(([name]) => name).join(' and ')} exclude each other: a request has one body`)
  }
  return sources[0]?.[1]
}

function defaultMethod ({ head }: FetchOptions, source: Source | undefined): string {
  if (head === true) return 'HEAD'
  if (source === 'file') return 'PUT'
  return source === 'data' || source === 'form' ? 'POST' : 'GET'
}

/** Values are not quoted in errors: they can be credentials. */
function parseHeaders ({ header, user, userAgent }: FetchOptions): Headers {
  const headers = new Headers()
  try {
    if (userAgent !== undefined) headers.set('user-agent', userAgent)
    if (user !== undefined) headers.set('authorization', basic(user))
    for (const line of header) {
      const [, name = '', value = ''] = /^([^:]*):(.*)$/s.exec(line) ?? []
      headers.append(name.trim(), value.trim())
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new UsageError('a header must be written as \'name: value\', without control characters')
  }
  return headers
}

function basic (user: string): string {
  if (!user.includes(':')) {
    throw new UsageError('--user must be written as name:password; nothing asks for the password')
  }
  return `Basic ${Buffer.from(user).toString('base64')}`
}
