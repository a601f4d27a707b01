/** Reads an open file from its beginning: all of it, or as much as it may have. One read may give less than there is. */
import type { FileHandle } from 'node:fs/promises'

export async function readBounded (file: FileHandle, maxOctets: number): Promise<Buffer> {
  const content = Buffer.alloc(maxOctets)
  let length = 0
  while (length < maxOctets) {
    const { bytesRead } = await file.read(content, length, maxOctets - length, length)
    if (bytesRead === 0) break
    length += bytesRead
  }
  return content.subarray(0, length)
}
