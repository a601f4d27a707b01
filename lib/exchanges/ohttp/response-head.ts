/** The head of a response, from HTTP to Binary HTTP. */
import type { ResponseHeaders } from '../../http/headers.ts'
import { Problem } from '../../http/problems.ts'
import { BhttpError } from '../../protocols/bhttp/bhttp.ts'
import type { Field, ResponseHead } from '../../protocols/bhttp/bhttp.ts'
import type { PlainResponse } from '../exchange.ts'

export function headOf ({ status, headers }: PlainResponse): ResponseHead {
  return { status, headers: fields(headers) }
}

function fields (headers: ResponseHeaders): Field[] {
  const list: Field[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (Array.isArray(value)) for (const one of value) list.push([name, trimmed(one)])
    else if (value !== undefined) list.push([name, trimmed(value)])
  }
  return list
}

/**
 * Without blanks and tabs at the ends: of a field value, only these are white space (RFC 9110, section 5.5), and bytes
 * above ASCII are part of it. Step by step, as a regular expression takes quadratic time for blanks in the middle.
 */
export function trimmed (value: string): string {
  let start = 0
  let end = value.length
  while (start < end && isBlank(value.charCodeAt(start))) start++
  while (start < end && isBlank(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

function isBlank (character: number): boolean {
  return character === 0x20 || character === 0x09
}

/** Bytes of the body, if the workload says so. */
export function announcedContent ({ headers }: PlainResponse): number | undefined {
  const length = Number(headers['content-length'])
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined
}

/** What the workload sent may not be representable. @throws {Problem} upstream-invalid */
export function valid<T> (encode: () => T): T {
  try {
    return encode()
  } catch (error) {
    throw error instanceof BhttpError ? new Problem('upstream-invalid', { cause: error }) : error
  }
}
