/** What -w writes after a transfer, with the variables of curl that mean something here. */
import { UsageError } from '../status.ts'

export interface Transfer {
  readonly url: string
  readonly method: string
  status: number
  headers: Headers
  uploaded: number
  downloaded: number
  redirected: boolean
  effectiveUrl: string
  exitCode: number
  error: string
  readonly startedAt: number
  /** When the response's headers were there. */
  answeredAt: number | undefined
}

const VARIABLES: Record<string, (transfer: Transfer, now: number) => string | number> = {
  http_code: ({ status }) => String(status).padStart(3, '0'),
  response_code: ({ status }) => String(status).padStart(3, '0'),
  content_type: ({ headers }) => headers.get('content-type') ?? '',
  errormsg: ({ error }) => error,
  exitcode: ({ exitCode }) => exitCode,
  method: ({ method }) => method,
  size_download: ({ downloaded }) => downloaded,
  size_upload: ({ uploaded }) => uploaded,
  time_starttransfer: ({ startedAt, answeredAt }) => seconds((answeredAt ?? startedAt) - startedAt),
  time_total: ({ startedAt }, now) => seconds(now - startedAt),
  url: ({ url }) => url,
  url_effective: ({ effectiveUrl }) => effectiveUrl
}

function seconds (ms: number): string {
  return (ms / 1000).toFixed(6)
}

const ESCAPES: Record<string, string> = { '\\n': '\n', '\\r': '\r', '\\t': '\t', '%%': '%' }
const PARTS = /\\[nrt]|%%|%header\{([^}]*)\}|%\{([^}]*)\}/g

/** @throws {UsageError} there is no such variable */
export function checkFormat (format: string): void {
  for (const [, , name] of format.matchAll(PARTS)) {
    if (name !== undefined && !Object.hasOwn(VARIABLES, name)) {
      throw new UsageError(
        `--write-out knows no %{${name}}: there are ${Object.keys(VARIABLES).join(', ')} and %header{name}`
      )
    }
  }
}

export function writeOut (format: string, transfer: Transfer): string {
  return format.replace(PARTS, (whole, header: string | undefined, name: string | undefined) => {
    if (header !== undefined) return headerOf(transfer, header)
    if (name !== undefined) return String(VARIABLES[name]?.(transfer, performance.now()) ?? '')
    return ESCAPES[whole] ?? whole
  })
}

function headerOf ({ headers }: Transfer, name: string): string {
  try {
    return headers.get(name) ?? ''
  } catch {
    // What is no name of a header is no header of this response.
    return ''
  }
}
