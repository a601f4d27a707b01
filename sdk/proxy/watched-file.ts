/** A small file that is read again when it changes: a token or a certificate that something else renews. */
import { readFileSync, statSync } from 'node:fs'
import { UsageError } from '../cli/status.ts'

const MAX_BYTES = 64 * 1024

export interface WatchedFile {
  /**
   * The content as it is now. A look at the file's times is so cheap that it is taken each time, and finds changes that
   * notifications miss: through symbolic links, as Kubernetes has them, and over a network.
   *
   * @throws {UsageError} it cannot be read
   */
  read (): string
  /** Whether `read` would find something else than it found last. @throws {UsageError} */
  changed (): boolean
}

export function watchFile (path: string): WatchedFile {
  let version = ''
  let content = ''

  function versionNow (): string {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    if (size > MAX_BYTES) throw new UsageError(`${path} has more than ${MAX_BYTES} bytes`)
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  }
  return {
    read: () => explain(path, () => {
      const now = versionNow()
      if (now !== version) {
        content = readFileSync(path, 'utf8')
        version = now
      }
      return content
    }),
    changed: () => explain(path, versionNow) !== version
  }
}

function explain<T> (path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(
      `cannot read ${path}: ${error instanceof Error && 'code' in error ? error.code : 'unknown error'}`
    )
  }
}
