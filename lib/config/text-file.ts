/** Reads a file that a person wrote, in whichever encoding their editor chose. */
import { readFile } from 'node:fs/promises'

/**
 * UTF-8, with a byte order mark or without one; UTF-16 with one.
 *
 * @throws {TypeError} it is neither
 * @throws the file system's errors
 */
export async function readText (file: string): Promise<string> {
  const bytes = await readFile(file)
  const [first, second] = bytes
  const encoding = first === 0xff && second === 0xfe
    ? 'utf-16le'
    : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8'
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new TypeError('it is not text in UTF-8', { cause })
  }
}
