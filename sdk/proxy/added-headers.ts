/** Headers that this proxy adds to each request, such as a credential that the program before it need not have. */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Field } from '../../lib/protocols/bhttp/bhttp.ts'
import { UsageError } from '../cli/status.ts'
import { LocalProblem } from './exchange/problems.ts'
import { watchFile } from './watched-file.ts'

/** Set by the exchange itself. */
const RESERVED =
  /^(?:connection|content-length|date|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade|polaris-.*|proxy-.*)$/

/**
 * @param lines `name: value`, or `name: @file` for what a file holds, without white space at its ends
 * @returns the headers as they are now; throws a LocalProblem if one is unavailable, since without it the request would
 *   be another one
 * @throws {UsageError} a line is malformed, or a file cannot be read
 */
export function addedHeaders (lines: readonly string[]): () => readonly Field[] {
  const fields = lines.map(parse)
  // So that a mistake is found at the start.
  for (const field of fields) field()
  return () => {
    try {
      return fields.map(field => field())
    } catch (error) {
      if (!(error instanceof UsageError)) throw error
      throw new LocalProblem('header-file', `Nothing was sent: ${error.message}`)
    }
  }
}

/** Values are not quoted in errors: they can be credentials. */
function parse (line: string): () => Field {
  const colon = line.indexOf(':')
  const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase()
  const value = line.slice(colon + 1).trim()
  if (colon < 1 || !isValid(name, value)) {
    throw new UsageError('a header must be written as \'name: value\' or \'name: @file\'')
  }
  if (RESERVED.test(name)) throw new UsageError(`the header ${name} cannot be set`)
  if (!value.startsWith('@')) return () => [name, value]
  const path = value.slice(1)
  const file = watchFile(path)
  return () => {
    const content = file.read().trim()
    if (content === '' || !isValid(name, content)) {
      throw new UsageError(`${path} does not hold one line that can be the value of a header`)
    }
    return [name, content]
  }
}

function isValid (name: string, value: string): boolean {
  try {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    return true
  } catch (error) {
    if (error instanceof TypeError) return false
    throw error
  }
}
