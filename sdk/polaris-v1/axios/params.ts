/** Query strings as axios writes them from `params` and `paramsSerializer`: it does so only after the interceptors. */
import { UnsupportedRequestError } from '../../errors.ts'

type Encode = (value: unknown, defaultEncode: Encode) => string

interface SerializerOptions {
  readonly serialize?: (params: unknown, options: SerializerOptions) => string
  readonly encode?: Encode
  readonly visitor?: unknown
  readonly indexes?: boolean | null
  readonly dots?: boolean
  readonly metaTokens?: boolean
}

/** As deep as axios goes. */
const MAX_DEPTH = 100

/** @throws {UnsupportedRequestError} */
export function serializeParams (params: unknown, serializer: unknown): string {
  const options: SerializerOptions = typeof serializer === 'function'
    ? { serialize: serializer as NonNullable<SerializerOptions['serialize']> }
    : serializer ?? {}
  if (options.serialize) return options.serialize(params, options)
  if (params instanceof URLSearchParams) return params.toString()
  if (options.visitor) {
    throw new UnsupportedRequestError('paramsSerializer.visitor is not supported: use paramsSerializer.serialize')
  }
  if (typeof params !== 'object' || params === null) {
    throw new UnsupportedRequestError('params are not an object or URLSearchParams')
  }
  const encode = (value: unknown) => (options.encode ?? encodePlain)(value, encodeStrict)
  return [...pairs(params, [], options)].map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
}

/** @yields names and values; a name is the path to its value, in brackets or dots */
function * pairs (value: object, path: string[], options: SerializerOptions): Generator<[string, unknown]> {
  if (path.length > MAX_DEPTH) throw new UnsupportedRequestError('params are nested too deep')
  for (const [rawKey, member] of Object.entries(value) as Array<[string, unknown]>) {
    const key = rawKey.trim()
    if (member === undefined || member === null) continue
    if (path.length === 0 && typeof member === 'object' && key.endsWith('{}')) {
      yield [options.metaTokens === false ? key.slice(0, -2) : key, JSON.stringify(member)]
    } else if (path.length === 0 && Array.isArray(member) && (key.endsWith('[]') || !member.some(isNested))) {
      yield * list(member, withoutBrackets(key), options)
    } else if (isNested(member)) {
      // axios trims a name, but not where it is part of another.
      yield * pairs(member, [...path, rawKey], options)
    } else {
      yield [path.length === 0 ? key : join([...path, key], options), scalar(member)]
    }
  }
}

/** @yields `key[]` for each element, or `key[0]`, or `key`, as `indexes` says */
function * list (
  elements: unknown[], key: string, { indexes = false, dots = false }: SerializerOptions
): Generator<[string, unknown]> {
  for (const [index, element] of elements.entries()) {
    if (element === undefined || element === null) continue
    const name = indexes === null ? key : indexes ? join([key, String(index)], { dots }) : `${key}[]`
    yield [name, scalar(element)]
  }
}

function join (path: string[], { dots = false }: SerializerOptions): string {
  const [first = '', ...rest] = path.map(withoutBrackets)
  return dots ? [first, ...rest].join('.') : first + rest.map(token => `[${token}]`).join('')
}

function withoutBrackets (key: string): string {
  return key.endsWith('[]') ? key.slice(0, -2) : key
}

function isNested (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === null || prototype === Object.prototype) && !(Symbol.toStringTag in value) &&
    !(Symbol.iterator in value)
}

function scalar (value: unknown): unknown {
  if (value instanceof Date) return value.toISOString()
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof Blob) {
    throw new UnsupportedRequestError('params contain bytes: encode them as a string')
  }
  return value
}

function encodePlain (value: unknown): string {
  const plain: Record<string, string> = { '%3A': ':', '%24': '$', '%2C': ',', '%20': '+' }
  return encodeURIComponent(String(value)).replace(/%(3A|24|2C|20)/g, match => plain[match] ?? match)
}

/** The encoder that axios hands to a custom one: application/x-www-form-urlencoded. */
function encodeStrict (value: unknown): string {
  return encodeURIComponent(String(value))
    .replace(/[!'()~]/g, match => `%${match.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')
}
