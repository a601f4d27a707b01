/** Forms as curl's -F makes them: name=content, name=@file and name=<file, each with ;type= and ;filename=. */
import { openAsBlob } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { UsageError } from '../status.ts'
import { readInput } from './data.ts'

/** Files are read when they are sent. @throws {UsageError} */
export async function makeForm (fields: readonly string[]): Promise<FormData> {
  const form = new FormData()
  for (const field of fields) {
    const [, name = '', mark = '', rest = ''] = /^([^=]+)=([@<]?)([^]*)$/.exec(field) ?? []
    // Not quoted: it can hold a secret.
    if (name === '') throw new UsageError('a form field must be written as name=content, name=@file or name=<file')
    if (mark === '') form.append(name, rest)
    else {
      const { path, type, filename } = parseFile(rest)
      if (mark === '<') form.append(name, (await readInput(path)).toString())
      else form.append(name, await openFile(path, type), filename ?? (path === '-' ? '-' : basename(path)))
    }
  }
  return form
}

function parseFile (text: string): { path: string, type: string | undefined, filename: string | undefined } {
  const [path = '', ...parameters] = text.split(';')
  const found = {
    path: unquote(path), type: undefined as string | undefined, filename: undefined as string | undefined
  }
  for (const parameter of parameters) {
    const [, name, value = ''] = /^\s*(type|filename)=(.*)$/s.exec(parameter) ?? []
    if (name === 'type') found.type = value.trim()
    else if (name === 'filename') found.filename = unquote(value)
    else if (found.type !== undefined) found.type += `;${parameter}`
    else throw new UsageError('after a file of a form there may be ;type= and ;filename=')
  }
  return found
}

function unquote (text: string): string {
  return /^"[^]*"$/.test(text) ? text.slice(1, -1).replace(/\\(["\\])/g, '$1') : text
}

async function openFile (path: string, type = 'application/octet-stream'): Promise<Blob> {
  if (path === '-') return new Blob([Uint8Array.from(await readInput(path))], { type })
  try {
    if ((await stat(path)).isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' })
    return await openAsBlob(path, { type })
  } catch (error) {
    throw new UsageError(
      `cannot read ${path}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}
