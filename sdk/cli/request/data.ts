/** Request data in the forms that curl has: -d, --data-raw, --data-binary and --data-urlencode, in the order given. */
import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { Option } from 'commander'
import type { Command } from 'commander'
import { UsageError } from '../status.ts'
import type { Bytes } from '../../../lib/protocols/bytes.ts'

type Kind = 'data' | 'raw' | 'urlencode'

export interface DataPart {
  readonly kind: Kind
  readonly value: string
}

/** All of them go to one list, since their order counts. */
export function withDataOptions (command: Command, parts: DataPart[]): Command {
  const option = (flags: string, kind: Kind, description: string) => new Option(flags, description)
    .argParser((value: string) => { parts.push({ kind, value }); return true })
  return command
    .addOption(option(
      '-d, --data <data>', 'data', 'body; @file is a file, @- standard input, as they are; several are joined by &'
    ))
    .addOption(option('--data-binary <data>', 'data', 'the same'))
    .addOption(option('--data-raw <data>', 'raw', 'the same, without a meaning of @'))
    .addOption(option(
      '--data-urlencode <data>', 'urlencode', 'encoded for a URL: content, =content, name=content, @file or name@file'
    ))
}

/** The one file that is the whole body: it can be streamed. */
export function streamedFile (parts: readonly DataPart[]): string | undefined {
  const [only] = parts
  return parts.length === 1 && only?.kind === 'data' && only.value.startsWith('@') ? only.value.slice(1) : undefined
}

/** @throws {UsageError} a file cannot be read */
export async function joinData (parts: readonly DataPart[]): Promise<Bytes> {
  const pieces: Uint8Array[] = []
  for (const [i, part] of parts.entries()) {
    if (i > 0) pieces.push(Buffer.from('&'))
    pieces.push(await read(part))
  }
  return Uint8Array.from(Buffer.concat(pieces))
}

async function read ({ kind, value }: DataPart): Promise<Uint8Array> {
  if (kind === 'raw') return Buffer.from(value)
  if (kind === 'data') return value.startsWith('@') ? readInput(value.slice(1)) : Buffer.from(value)
  const [, name = '', mark, content = ''] = /^([^=@]*)([=@])([^]*)$/.exec(value) ?? []
  if (mark === undefined) return Buffer.from(percentEncode(Buffer.from(value)))
  const encoded = percentEncode(mark === '@' ? await readInput(content) : Buffer.from(content))
  return Buffer.from(name === '' ? encoded : `${name}=${encoded}`)
}

/** RFC 3986: everything but its unreserved characters. */
function percentEncode (bytes: Uint8Array): string {
  return Array.from(bytes, byte => /[\w.~-]/.test(String.fromCharCode(byte)) && byte < 0x80
    ? String.fromCharCode(byte)
    : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/** A file, or standard input as `-`, held in memory. */
export async function readInput (path: string): Promise<Buffer> {
  if (path === '-') return buffer(process.stdin)
  return readFile(path).catch(
    (error: NodeJS.ErrnoException) => { throw new UsageError(`cannot read ${path}: ${error.code ?? 'unknown error'}`) }
  )
}
